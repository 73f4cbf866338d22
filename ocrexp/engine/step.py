"""One step: forward and backward over `accumulate` batches, then one update of the weights."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import paddle

from ocrexp.engine import distributed
from ocrexp.engine.buffers import moving_tensors
from ocrexp.engine.health import FiniteCheck, sums
from ocrexp.engine.settings import TrainerSettings
from ocrexp.errors import ConfigError
from ocrexp.located import addressed, option
from ocrexp.types import Batch

logger = logging.getLogger(__name__)

_NEXT_TO_INFINITE = 1e30  # many such values overflow float32 together

Loss = Callable[[dict[str, paddle.Tensor], dict[str, Any]], dict[str, paddle.Tensor]]


@dataclass
class StepReport:
    """What a step did. `parts` are the loss's parts, averaged over the batches, still on the device."""

    batches: int = 0
    images: int = 0
    updated: bool = False
    stop: bool = False
    parts: dict[str, paddle.Tensor] = field(default_factory=dict)


class NonFiniteLoss(Exception):
    """The loss of a batch is not finite, or huge; the weights have not been touched."""

    def __init__(self, batch: Batch, parts: Mapping[str, Any], report: StepReport) -> None:
        super().__init__("non-finite loss")
        self.batch = batch
        self.parts = parts
        self.report = report


class Stepper:
    """Owns precision, loss scaling and the averaging of gradients; knows nothing of epochs or intervals.

    Mixed precision is for GPUs: on a CPU it is switched off with a warning. float16 gets a GradScaler, bfloat16 has the
    range of float32 and needs none. The loss is always computed in float32.
    """

    def __init__(
        self, model: paddle.nn.Layer, loss: Loss, optimizer: paddle.optimizer.Optimizer, settings: TrainerSettings
    ) -> None:
        precision = settings.precision
        if precision != "fp32" and not paddle.device.get_device().startswith("gpu"):
            key = option(settings, "precision")
            logger.warning("%s=%s needs a GPU; training in fp32 on this CPU", key, precision)
            precision = "fp32"
        self._level = {"fp32": "O0", "amp_o1": "O1", "amp_o2": "O2"}[precision]
        self._dtype = settings.amp_dtype
        if self._level == "O2":
            model, optimizer = paddle.amp.decorate(model, optimizer, level="O2", dtype=self._dtype)
        scaled = self._level != "O0" and self._dtype == "float16"
        self.scaler = paddle.amp.GradScaler(init_loss_scaling=2.0**16) if scaled else None
        self.optimizer = optimizer
        self.masters: dict[str, paddle.Tensor] = getattr(optimizer, "_master_weights", {})
        if settings.sync_bn and distributed.world_size() > 1:
            model = distributed.synchronize_norms(model)
        with addressed(settings, ConfigError):
            self._network = distributed.wrap(model, settings.sync_bn)
        self._loss = loss
        # Gets outputs (float32) and batch of each forward pass whose loss is finite.
        self.observe: Callable[[dict[str, paddle.Tensor], Batch], None] | None = None
        self.held: list[paddle.Tensor] = []  # parameters that have gradients but do not learn yet
        self._parameters: list[paddle.Tensor] = []
        # Batch norms move their running statistics in the forward pass, before it is known whether the loss is finite.
        self._model = model
        self._weights_check: FiniteCheck | None = None
        self._moving = [(tensor, tensor.clone()) for tensor in moving_tensors(model)]
        self.collect()

    def collect(self) -> None:
        """Look for the parameters that learn, at the start and when they have become more."""
        self._parameters = [parameter for parameter in self._model.parameters() if not parameter.stop_gradient]

    def run(self, batches: Iterator[Batch], planned: int, lr: float, stop: Callable[[], bool]) -> StepReport:
        """Take `planned` batches and update the weights once with the mean of their gradients.

        A batch `{}` (all of its samples were rejected) is skipped by all processes together; if all of a step's
        batches are empty there is no update. `stop` is exchanged between all processes and reported, not acted on.
        Raises NonFiniteLoss with weights and running statistics as they were.
        """
        self.optimizer.set_lr(lr)
        self._copy_moving(undo=False)
        report = StepReport()
        used = 0
        synchronized = False
        for number in range(planned):
            batch = next(batches)
            report.batches += 1
            usable, go_on = distributed.all_agree(bool(batch), not stop())
            report.stop = report.stop or not go_on
            if not usable:
                continue
            last = number == planned - 1
            with contextlib.nullcontext() if last else self._no_sync():
                parts = self._forward_backward(batch, 1 / planned, report)
            synchronized = last
            used += 1
            for name, value in parts.items():
                value = value.detach()
                report.parts[name] = report.parts[name] + value if name in report.parts else value
        if not used:
            return report
        if not synchronized:
            distributed.average_gradients(self._parameters)
        if used < planned:
            self._scale_gradients(planned / used)
        report.parts = {name: value / used for name, value in report.parts.items()}
        self._update()
        self._watch_weights()
        report.updated = True
        return report

    @paddle.no_grad()
    def _watch_weights(self) -> None:
        moving = [tensor for tensor, _ in self._moving]
        self._weights_check = FiniteCheck(sums([*self._parameters, *moving]), limit=False)

    def weights_are_finite(self) -> bool:
        """Whether the last update has left finite weights and statistics, in all processes alike.

        A GPU is waited for: ask where that has happened anyway, or a step later.
        """
        check, self._weights_check = self._weights_check, None
        return check is None or check.passed()

    def nonfinite_weight(self) -> str | None:
        """Which parameter or buffer of this process is not finite, or next to it; None if there is none."""
        for name, tensor in self._model.state_dict().items():
            if tensor.is_floating_point() and tensor.size:
                greatest = float(tensor.astype("float32").abs().max())
                if not math.isfinite(greatest):
                    return f"{name} is not finite"
                if greatest > _NEXT_TO_INFINITE:
                    return f"{name} has grown to {greatest:.2g}"
        return None

    def _forward_backward(self, batch: Batch, share: float, report: StepReport) -> dict[str, paddle.Tensor]:
        tensors = to_tensors(batch)
        report.images += len(batch["image"])
        with self.autocast():
            outputs = self._network(tensors["image"], targets=tensors)
        outputs = {name: to_float32(value) for name, value in outputs.items()}
        parts = self._loss(outputs, tensors)
        total = parts["loss"]
        check = FiniteCheck(total)
        scaled = total * share if share != 1 else total
        (self.scaler.scale(scaled) if self.scaler else scaled).backward()
        if not check.passed():
            self.optimizer.clear_grad()
            self._copy_moving(undo=True)
            raise NonFiniteLoss(batch, parts, report)
        if self.observe is not None:
            self.observe(outputs, batch)
        return parts

    @paddle.no_grad()
    def _scale_gradients(self, factor: float) -> None:
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.scale_(factor)

    def _update(self) -> None:
        for parameter in self.held:
            parameter.stop_gradient = True  # the optimizer passes over it
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        for parameter in self.held:
            parameter.stop_gradient = False
        self.optimizer.clear_grad()

    @paddle.no_grad()
    def _copy_moving(self, undo: bool) -> None:
        """Keep the running statistics from before the step, or put them back."""
        for tensor, before in self._moving:
            paddle.assign(before, tensor) if undo else paddle.assign(tensor, before)

    def autocast(self) -> AbstractContextManager[None]:
        """The precision of a forward pass, in training and in evaluation: O2 leaves no float32 weights."""
        if self._level == "O0":
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level=self._level, dtype=self._dtype)

    def _no_sync(self) -> AbstractContextManager[None]:
        """Gradients add up in this process only; the step's last batch averages the sum."""
        if isinstance(self._network, paddle.DataParallel):
            return self._network.no_sync()
        return contextlib.nullcontext()


def to_tensors(batch: Batch) -> dict[str, Any]:
    """Arrays of a batch as tensors on the device; lists stay."""
    return {name: paddle.to_tensor(value) if isinstance(value, np.ndarray) else value for name, value in batch.items()}


def to_float32(value: Any) -> Any:
    """An output of half precision in float32; anything else as it is."""
    if isinstance(value, paddle.Tensor) and value.dtype in (paddle.bfloat16, paddle.float16):
        return value.astype("float32")
    return value
