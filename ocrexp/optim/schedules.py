"""Learning rates as pure functions of the optimizer step.

A schedule is built with `lr`, `total_steps` and `steps_per_epoch` (optimizer steps) and called with the number of steps
already made: `schedule(0)` is the rate of the first step. Nothing is kept from call to call, so a resumed run needs no
state of it.

Warm-up, common to all except `OneCycle` (which contains a warm-up):

- `warmup_steps` or `warmup_epochs` (fractions allowed) rise in a straight line to the schedule's own first rate.
- `warmup_start` is the share of that rate at the first step. `null` starts at one stair, 1 / warm-up steps, so that no
  step is spent at rate 0.
- The warm-up is part of the run: what follows is fitted into the steps that are left and ends with the run, and
  boundaries given in epochs keep their place. PaddleOCR puts the warm-up in front and moves all the rest back, so that
  its cosine does not reach its end; `warmup_extends: true` with `warmup_start: 0.0` gives exactly its rates.

Past its end a schedule keeps its last rate.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

logger = logging.getLogger(__name__)


class Schedule(Protocol):
    """The rate of the step after `step` steps have been made."""

    def __call__(self, step: int) -> float: ...


class ScheduleFactory(Protocol):
    """A partial node at `optim.schedule`, completed by the run."""

    def __call__(self, *, lr: float, total_steps: int, steps_per_epoch: int) -> Schedule: ...


@dataclass(frozen=True, kw_only=True)
class WarmupSchedule:
    """A rate with a linear warm-up; subclasses define `rate(step, total)` for the part after it.

    Raises ValueError for a rate that is not positive and for both kinds of warm-up; warns of one as long as the run.
    """

    lr: float
    total_steps: int
    steps_per_epoch: int
    warmup_steps: int = 0
    warmup_epochs: float = 0.0
    warmup_start: float | None = None
    warmup_extends: bool = False

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError(f"lr: expected a number above 0, got {self.lr:g}")
        if self.warmup_steps < 0 or self.warmup_epochs < 0:
            raise ValueError("warmup_steps, warmup_epochs: expected 0 or more")
        if self.warmup_steps and self.warmup_epochs:
            raise ValueError("warmup_steps, warmup_epochs: both are set; set one of them to 0")
        if self.warmup and self.warmup >= self.total_steps:
            # Not refused: a first try of three steps is a fair use of a recipe with a long warm-up.
            logger.warning(
                "the warm-up of %d steps is as long as the run of %d, so the rate never reaches %g",
                self.warmup, self.total_steps, self.lr,
            )  # fmt: skip

    @property
    def warmup(self) -> int:
        """Length of the warm-up in steps."""
        return self.warmup_steps or round(self.warmup_epochs * self.steps_per_epoch)

    def rate(self, step: int, total: int) -> float:
        """The rate after `step` of `total` steps that follow the warm-up."""
        raise NotImplementedError

    def __call__(self, step: int) -> float:
        warmup = self.warmup
        if step < warmup:
            if self.warmup_start is None:
                share = (step + 1) / warmup
            else:
                share = self.warmup_start + (1 - self.warmup_start) * step / warmup
            return self.after_warmup(warmup) * share
        return self.after_warmup(step)

    def after_warmup(self, step: int) -> float:
        """The rate of a step that is not in the warm-up."""
        total = max(self.total_steps if self.warmup_extends else self.total_steps - self.warmup, 1)
        return self.rate(min(step - self.warmup, total), total)


class _ByEpoch(WarmupSchedule):
    """A rate whose boundaries are epochs of the run: a warm-up does not move them (unless it extends the run)."""

    def after_warmup(self, step: int) -> float:
        return self.rate(step - (self.warmup if self.warmup_extends else 0), self.total_steps)


@dataclass(frozen=True, kw_only=True)
class Constant(WarmupSchedule):
    """`lr` throughout."""

    def rate(self, step: int, total: int) -> float:  # noqa: ARG002
        return self.lr


@dataclass(frozen=True, kw_only=True)
class Cosine(WarmupSchedule):
    """Half a cosine from `lr` to `end_lr` (SGDR without restarts, Loshchilov and Hutter 2017)."""

    end_lr: float = 0.0

    def rate(self, step: int, total: int) -> float:
        return self.end_lr + (self.lr - self.end_lr) * 0.5 * (1 + math.cos(math.pi * step / total))


@dataclass(frozen=True, kw_only=True)
class Polynomial(WarmupSchedule):
    """`(1 - step / total) ** power` from `lr` to `end_lr`."""

    end_lr: float = 0.0
    power: float = 1.0

    def rate(self, step: int, total: int) -> float:
        return self.end_lr + (self.lr - self.end_lr) * (1 - step / total) ** self.power


@dataclass(frozen=True, kw_only=True)
class Linear(WarmupSchedule):
    """A straight line from `lr` to `end_lr`."""

    end_lr: float = 0.0

    def rate(self, step: int, total: int) -> float:
        return self.end_lr + (self.lr - self.end_lr) * (1 - step / total)


@dataclass(frozen=True, kw_only=True)
class Step(_ByEpoch):
    """Times `gamma` every `step_size` epochs."""

    step_size: float
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size <= 0:
            raise ValueError(f"step_size: expected a number of epochs above 0, got {self.step_size:g}")

    def rate(self, step: int, total: int) -> float:  # noqa: ARG002
        return self.lr * self.gamma ** (step // (self.step_size * self.steps_per_epoch))


@dataclass(frozen=True, kw_only=True)
class MultiStep(_ByEpoch):
    """Times `gamma` at each of the epochs in `milestones`."""

    milestones: Sequence[float]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_increasing("milestones", self.milestones)

    def rate(self, step: int, total: int) -> float:  # noqa: ARG002
        passed = sum(step >= milestone * self.steps_per_epoch for milestone in self.milestones)
        return self.lr * self.gamma**passed


@dataclass(frozen=True, kw_only=True)
class Piecewise(_ByEpoch):
    """`lr` times one of `factors`, changing at the epochs in `decay_epochs` (one factor more than epochs).

    PaddleOCR lists absolute `values`; factors keep the shape when `optim.lr` is swept or scaled.
    """

    decay_epochs: Sequence[float]
    factors: Sequence[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_increasing("decay_epochs", self.decay_epochs)
        if len(self.factors) != len(self.decay_epochs) + 1:
            raise ValueError(
                f"factors: expected {len(self.decay_epochs) + 1} numbers, one more than decay_epochs, got "
                f"{len(self.factors)}"
            )

    def rate(self, step: int, total: int) -> float:  # noqa: ARG002
        passed = sum(step >= epoch * self.steps_per_epoch for epoch in self.decay_epochs)
        return self.lr * self.factors[passed]


@dataclass(frozen=True, kw_only=True)
class CyclicalCosine(_ByEpoch):
    """A half cosine from `lr` to 0 that starts again every `cycle` epochs."""

    cycle: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cycle <= 0:
            raise ValueError(f"cycle: expected a number of epochs above 0, got {self.cycle:g}")

    def rate(self, step: int, total: int) -> float:  # noqa: ARG002
        cycle_steps = max(1, round(self.cycle * self.steps_per_epoch))
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step % cycle_steps) / cycle_steps))


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """Up from `lr / divide_factor` to `lr`, then down to the start rate times `end_factor` (Smith and Topin 2018).

    `phase_pct` is the share of the run that rises; with `three_phase` the fall back to the start takes as long as the
    rise and a last phase goes on to the end rate; `anneal_strategy` is cos or linear. Constants and phase ends are
    those of `paddle.optimizer.lr.OneCycleLR` as PaddleOCR uses it. It has no warm-up of its own to set: PaddleOCR adds
    one in front and thereby rises twice.
    """

    lr: float
    total_steps: int
    steps_per_epoch: int
    divide_factor: float = 25.0
    end_factor: float = 1e-4
    phase_pct: float = 0.3
    anneal_strategy: str = "cos"
    three_phase: bool = False

    def __post_init__(self) -> None:
        if self.anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy: expected cos or linear, got {self.anneal_strategy}")
        if not 0 < self.phase_pct < (0.5 if self.three_phase else 1):
            raise ValueError(f"phase_pct: expected a share between 0 and 1, such as 0.5, got {self.phase_pct:g}")

    def __call__(self, step: int) -> float:
        start = self.lr / self.divide_factor
        end = start * self.end_factor
        peak = self.phase_pct * self.total_steps - 1
        last = self.total_steps - 1
        phases = [(0.0, peak, start, self.lr)]
        if self.three_phase:
            phases += [(peak, 2 * peak, self.lr, start), (2 * peak, last, start, end)]
        else:
            phases.append((peak, last, self.lr, end))
        for begin, stop, first_rate, last_rate in phases:
            if step <= stop and stop > begin:
                share = (step - begin) / (stop - begin)
                if self.anneal_strategy == "linear":
                    return first_rate + (last_rate - first_rate) * share
                return last_rate + (first_rate - last_rate) * 0.5 * (1 + math.cos(math.pi * share))
        return end


def _check_increasing(name: str, epochs: Sequence[float]) -> None:
    if not epochs or any(b <= a for a, b in pairwise(epochs)):
        raise ValueError(f"{name}: expected epochs in increasing order, got {list(epochs)}")
