"""What a checkpoint of a run contains, and how a run takes it back."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle

from ocrexp import __version__
from ocrexp.engine import distributed
from ocrexp.engine.callbacks.base import Callback
from ocrexp.engine.checkpoint import BEST, CheckpointSet, CheckpointStore
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import Stepper
from ocrexp.engine.weights import check_fit, fill
from ocrexp.errors import CheckpointError, printable
from ocrexp.loggers.group import LoggerGroup
from ocrexp.optim.ema import WeightAverage
from ocrexp.optim.optimizers import parameter_names
from ocrexp.weights.reader import first_nonfinite, read_optimizer, read_parameters

logger = logging.getLogger(__name__)

_LOW_PRECISION = (paddle.bfloat16, paddle.float16)


@dataclass(frozen=True)
class RunIdentity:
    """What must be the same for a run to go on where another process left it."""

    seed: int
    world_size: int
    batches_per_epoch: int
    fingerprints: dict[str, str]


class Saver:
    """Puts the parts of a run into a checkpoint set and back.

    `latest` has the raw weights and all states; `best_accuracy` the weights that were evaluated, which are the average
    where `trainer.ema_decay` is set. `carried` are plain values that a set just carries along. Random generators need
    no entry: see seed.py.
    """

    def __init__(
        self,
        store: CheckpointStore,
        model: paddle.nn.Layer,
        stepper: Stepper,
        average: WeightAverage | None,
        callbacks: Mapping[str, Callback],
        loggers: LoggerGroup,
        identity: RunIdentity,
        carried: Mapping[str, Any],
    ) -> None:
        self.store = store
        self._model = model
        self._stepper = stepper
        self._average = average
        self._callbacks = callbacks
        self._loggers = loggers
        self._identity = identity
        self._carried = dict(carried)

    def save(self, name: str, state: TrainState) -> bool:
        """Write a set; all processes call it, rank 0 writes. False, with a line, for weights that are not finite.

        Raises OSError when the disk does not take it.
        """
        distributed.share_statistics(self._model)
        if not distributed.is_main():
            return True
        weights = self._weights(name)
        bad = [key for key, value in weights.items() if not bool(paddle.isfinite(value).all())]
        if bad:
            logger.warning("checkpoint %s not saved at step %d: %s is not finite", name, state.step, bad[0])
            return False
        self.store.save(name, weights, self._stepper.optimizer.state_dict(), self._states(name, state))
        return True

    def restore(self, found: CheckpointSet) -> tuple[TrainState, dict[str, Any]]:
        """Take everything back; returns the progress and the loggers' states.

        Raises CheckpointError if this run is not the one that saved the set.
        """
        try:
            return self._restore(found, found.states)
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError, ArithmeticError) as error:
            # The file's sums agree, so its writer put other values there than a run does.
            reason = printable(str(error).splitlines()[0]) if str(error) else ""
            raise CheckpointError(
                f"{found.path('pdstates')}: contains no states of this run ({type(error).__name__}: {reason[:80]}); "
                f"start a new run with model.pretrained={found.path('pdparams')} instead"
            ) from error

    def _restore(self, found: CheckpointSet, states: dict[str, Any]) -> tuple[TrainState, dict[str, Any]]:
        for key, value in vars(self._identity).items():
            if key == "fingerprints" and "labels" not in states[key]:  # saved before there was one of the labels
                value = {name: text for name, text in value.items() if name != "labels"}
            if states[key] != value:
                was, now = _difference(states[key], value)
                raise CheckpointError(
                    f"{found.path('pdstates')}: belongs to another run ({key} was {was}, is {now}); "
                    f"start a new run with model.pretrained={found.path('pdparams')} instead"
                )
        weights = found.path("pdparams")
        fill(self._model.state_dict(), read_parameters(weights), str(weights))
        renamed = {states["parameter_names"][key]: name for key, name in parameter_names(self._model).items()}
        optimizer = rename_accumulators(read_optimizer(found.path("pdopt")), renamed)
        check_optimizer(self._model, optimizer, str(found.path("pdopt")))
        self._stepper.optimizer.set_state_dict(as_tensors(optimizer))
        if self._average and states["average"] is not None:
            check_fit(self._average.tensors(), states["average"], f"the average of {weights}")
            self._average.load_state_dict(states["average"])
        if self._stepper.scaler and states["scaler"] is not None:
            self._stepper.scaler.load_state_dict(states["scaler"])
        for key, callback in self._callbacks.items():
            if key in states["callbacks"]:
                callback.load_state_dict(states["callbacks"][key])
        if not isinstance(states["loggers"], dict):
            raise TypeError(f"loggers is a {type(states['loggers']).__name__}")
        return TrainState.from_dict(states["train_state"]), states["loggers"]

    def _weights(self, name: str) -> dict[str, paddle.Tensor]:
        """Weights in float32 by PaddleOCR's names; buffers as they are."""
        if self._average and name == BEST:
            return self._average.tensors()
        masters = self._stepper.masters
        weights = {key: masters.get(value.name, value) for key, value in self._model.state_dict().items()}
        return {
            key: value.astype("float32") if value.dtype in _LOW_PRECISION else value for key, value in weights.items()
        }

    def _states(self, name: str, state: TrainState) -> dict[str, Any]:
        scaler = self._stepper.scaler
        return {
            "epoch": state.epoch,
            "global_step": state.step,
            "best_model_dict": {**state.best_metrics, "best_step": state.best_step},
            "train_state": state.to_dict(),
            "weights": "average" if self._average and name == BEST else "raw",
            "average": self._average.state_dict() if self._average and name != BEST else None,
            "scaler": scaler.state_dict() if scaler else None,
            "parameter_names": parameter_names(self._model),
            "callbacks": {key: callback.state_dict() for key, callback in self._callbacks.items()},
            "loggers": self._loggers.state_dict(),
            **vars(self._identity),
            **self._carried,
            "versions": {"ocrexp": __version__, "paddle": paddle.__version__, "python": platform.python_version()},
        }


def rename_accumulators(optimizer_state: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """An optimizer's state under the parameter names of this process.

    paddle keys accumulators by its own names (`conv2d_3.w_0_moment1_0`), which count the layers that a process has
    built: a process that built something else first counts differently.
    """

    def new_name(key: str) -> str:
        for old, new in renamed.items():
            if key == old or key.startswith(f"{old}_"):
                return new + key[len(old) :]
        return key

    result = {}
    for key, value in optimizer_state.items():
        inner = rename_accumulators(value, renamed) if isinstance(value, dict) else value
        result[new_name(key)] = inner
    return result


def check_optimizer(model: paddle.nn.Layer, state: Mapping[str, Any], source: str) -> None:
    """Raises CheckpointError, in one line, where an optimizer's state is not that of the model's parameters.

    Each array must carry a parameter's name and its shape, or hold one value (the powers of Adam's betas), in float32
    or in the parameter's own precision. Besides arrays there may be `master_weights` and `LR_Scheduler`: paddle ends
    the process for other values.
    """
    shapes = {parameter.name: list(parameter.shape) for parameter in model.parameters()}
    own = {parameter.name: str(parameter.numpy().dtype) for parameter in model.parameters()}
    advice = "it belongs to another model; restore the file from a copy, or start a new run with model.pretrained"
    for key, value in state.items():
        if isinstance(value, Mapping) and key in ("master_weights", "LR_Scheduler"):
            if key == "master_weights":
                check_optimizer(model, value, source)
            continue
        if not isinstance(value, np.ndarray):
            raise CheckpointError(
                f"{source}: {printable(key)} is a {type(value).__name__}, expected an array; restore the file from a "
                "copy"
            )
        owner = max((name for name in shapes if key == name or key.startswith(f"{name}_")), key=len, default=None)
        if owner is None:
            raise CheckpointError(f"{source}: unexpected parameter {printable(key)}; {advice}")
        if list(value.shape) != shapes[owner] and value.size != 1:
            raise CheckpointError(
                f"{source}: {printable(key)} has shape {list(value.shape)}, expected {shapes[owner]}; {advice}"
            )
        if str(value.dtype) not in ("float32", own[owner]):
            raise CheckpointError(f"{source}: {printable(key)} has type {value.dtype}, expected {own[owner]}; {advice}")
    if bad := first_nonfinite({key: value for key, value in state.items() if isinstance(value, np.ndarray)}):
        raise CheckpointError(f"{source}: {bad}; resume from an earlier checkpoint")


def as_tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's state with its arrays as tensors on the device, as paddle gives it."""
    return {
        key: as_tensors(value)
        if isinstance(value, Mapping)
        else paddle.to_tensor(value)
        if isinstance(value, np.ndarray)
        else value
        for key, value in state.items()
    }


def _difference(was: Any, now: Any) -> tuple[Any, Any]:
    """The first entry in which two values differ, for a message."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            if was.get(key) != now.get(key):
                return f"{key} {was.get(key)}", f"{key} {now.get(key)}"
    return was, now
