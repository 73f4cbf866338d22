"""What every adaptation shares: batch, learning rate, processes and length follow from few numbers.

An adaptation is asked twice. `fit` looks at the data, `length` at how fast the run is with what `fit` has chosen. Both
propose values; `Choices` decides, because a key that the user has set keeps its value, and tells them which value
counts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ocrexp.errors import ConfigError
from ocrexp.types import Record

LR_BATCH = 8  # images per step that the learning rate is stated for
_LOG_LINES = 20
_LEAST_STEPS = 10
_MOST_PROCESSES = 2  # on a CPU, where two of 4 images are faster than one of 8; more have not been measured
_AROUND_EVALUATION = 3.0  # seconds: checkpoints and pictures


class Choices(Protocol):
    """Where an adaptation reads values and proposes others."""

    def value(self, key: str) -> Any:
        """The value of a dotted key, None where there is no such key."""

    def choose(self, key: str, value: Any, reason: str) -> Any:
        """Propose a value; returns the one that counts, None where there is no such key."""


@dataclass(frozen=True)
class Device:
    """Where a run trains: on GPUs or not, and how many cores one process may use."""

    gpu: bool
    cores: int


@dataclass(frozen=True)
class Pace:
    """The pace of a run.

    Args:
        step: seconds of a step, averaged over the image sizes of an epoch.
        evaluation: seconds of an evaluation on all validation sets.
        steps_per_epoch: steps that see each training image once.
    """

    step: float
    evaluation: float
    steps_per_epoch: int


@dataclass(kw_only=True)
class Adaptation(ABC):
    """Fits a run to its data and its time.

    Args:
        keep: keys that stay as the configuration has them.
        lr: learning rate of Adam and AdamW for 8 images per step on a large data set.
        full_lr_images: of a smaller training set the learning rate is lower.
        batch: images per step on a CPU, over all processes.
        gpu_batch: images per step and GPU.
        largest_batch_share: largest share of the training images that a step sees.
        warmup_share: share of the steps in which the learning rate rises.
        evaluations: largest number of evaluations during the run.
        evaluation_share: largest share of the time for them; one is always made.
        reserve: share of the time that is left free.

    Raises ValueError for invalid values.
    """

    keep: Sequence[str] = ()
    lr: float = 6.0e-5
    full_lr_images: int = 1000
    batch: int = 8
    gpu_batch: int = 8
    largest_batch_share: float = 0.25
    warmup_share: float = 0.1
    evaluations: int = 8
    evaluation_share: float = 0.2
    reserve: float = 0.1

    task = ""  # whose configurations it fits
    images = "images"  # what a training image is called

    def __post_init__(self) -> None:
        for name in ("lr", "full_lr_images", "batch", "gpu_batch", "evaluations"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("largest_batch_share", "warmup_share", "evaluation_share", "reserve"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a share between 0 and 1, got {getattr(self, name)}")

    @abstractmethod
    def fit(self, records: Sequence[Record], images: int, device: Device, choices: Choices) -> None:
        """Propose what follows from training records, the number of all training images, and the device."""

    def fit_steps(self, images: int, device: Device, choices: Choices) -> None:
        """Propose processes, batch and learning rate for a number of training images."""
        processes = _number(choices.value("trainer.devices"))
        if not device.gpu and device.cores > 1:
            most = max(1, min(_MOST_PROCESSES, device.cores, images))
            reason = f"processes on {device.cores} cores"
            processes = _number(choices.choose("trainer.devices", most, reason))
        wanted = self.gpu_batch * processes if device.gpu else self.batch
        least = max(1, math.floor(images * self.largest_batch_share))
        per_process = max(1, min(wanted, least) // processes)
        reason = f"{images} {self.images}, {processes} {'process' if processes == 1 else 'processes'}"
        own = choices.choose("loader.batch_size", per_process, reason) * processes
        total = own * int(choices.value("trainer.accumulate") or 1)
        optimizer = str(choices.value("optim.optimizer._target_")).rpartition(".")[2]
        if optimizer in ("Adam", "AdamW"):  # the rates of others differ by orders of magnitude
            reason = f"{images} {self.images}, {total} images per step"
            choices.choose("optim.lr", self.rate(total, images), reason)

    def rate(self, batch: int, images: int) -> float:
        """The learning rate: with the square root of the batch, lower for few images; two digits."""
        few = min(1.0, images / self.full_lr_images) ** 0.25
        return float(f"{self.lr * math.sqrt(batch / LR_BATCH) * few:.1e}")

    def length(self, pace: Pace, choices: Choices) -> None:
        """Propose the number of steps and everything that counts in steps.

        Raises ConfigError where the time is too short for ten steps, or where nothing limits the run.
        """
        steps, why, evaluations = self._steps(pace, choices)
        every = math.ceil(steps / evaluations)
        if choices.value("trainer.max_steps") is None:
            choices.choose("trainer.max_steps", steps // every * every, why)
            steps = steps // every * every
        count = steps // every
        reason = f"{count} {'evaluation' if count == 1 else 'evaluations'}"
        reason += f" of {pace.evaluation:.2g} s" if pace.evaluation else ""
        choices.choose("trainer.eval_every_steps", every, reason)
        if choices.value("trainer.eval_every_epochs") is not None:
            choices.choose("trainer.eval_every_epochs", None, "evaluations are counted in steps")
        reason = f"{steps} steps"
        if not choices.value("optim.schedule.warmup_epochs"):  # the other way to set it
            choices.choose("optim.schedule.warmup_steps", round(self.warmup_share * steps), reason)
        choices.choose("trainer.ema_decay", decay(steps), reason)
        choices.choose("trainer.log_every_steps", max(1, steps // _LOG_LINES), reason)

    def _steps(self, pace: Pace, choices: Choices) -> tuple[int, str, int]:
        """Steps of the run, what limits them, and the number of evaluations."""
        epochs, given = choices.value("trainer.max_epochs"), choices.value("trainer.max_steps")
        minutes = choices.value("trainer.max_minutes")
        limits = []
        if epochs is not None:
            limits.append((int(epochs) * pace.steps_per_epoch, f"{epochs} epochs of {pace.steps_per_epoch} steps"))
        if given is not None:
            limits.append((int(given), ""))
        if minutes is None and not limits:
            raise ConfigError(
                "trainer.max_minutes, trainer.max_epochs, trainer.max_steps: all are null, so the run would never end; "
                "set one of them"
            )
        evaluations = self.evaluations
        if minutes is not None:
            fitting, evaluations = self._fitting(pace, float(minutes), evaluates_at_start(choices))
            limits.append((fitting, f"{pace.step:.2g} s per step, {minutes:g} minutes"))
        steps, why = min(limits, key=lambda limit: limit[0])
        return steps, why, evaluations

    def _fitting(self, pace: Pace, minutes: float, at_start: bool) -> tuple[int, int]:
        """Steps and evaluations that fit into the time; the last evaluation is at the end."""
        evaluation = pace.evaluation + _AROUND_EVALUATION
        usable = 60 * minutes * (1 - self.reserve) - evaluation * at_start
        count = max(1, min(self.evaluations, math.floor(usable * self.evaluation_share / evaluation)))
        steps = math.floor((usable - count * evaluation) / pace.step)
        if steps < _LEAST_STEPS:
            needed = (evaluation * (1 + at_start) + _LEAST_STEPS * pace.step) / (1 - self.reserve) / 60
            raise ConfigError(
                f"trainer.max_minutes: expected {math.ceil(10 * needed) / 10:g} or more, because one step takes "
                f"{pace.step:.2g} s and an evaluation {pace.evaluation:.2g} s here, got {minutes:g}"
            )
        return steps, count


def evaluates_at_start(choices: Choices) -> bool:
    """Whether the run evaluates before its first step, as `trainer.eval_at_start` says."""
    asked = choices.value("trainer.eval_at_start")
    return bool(choices.value("model.pretrained")) if asked == "auto" else bool(asked)


def decay(steps: int) -> float:
    """Decay of an average over the last quarter of the run, about; three digits."""
    return round(min(0.9998, max(0.9, 1 - 4 / max(steps, 1))), 4)


def _number(devices: Any) -> int:
    """The number of processes of `trainer.devices`, which is settled."""
    return len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else int(devices)
