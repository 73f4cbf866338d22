"""Trainings that look for a learning rate: a ramp of rates, and short trainings at given ones.

Each begins from the start of the configured run: the same weights, batches and random numbers, the same optimizer,
precision and frozen parts. Everything is in memory; no run folder is read or written.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocrexp.optim.range_test import Ramp, RangeCurve, Smoothed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.assemble.parts import Parts
    from ocrexp.optim.schedules import Schedule
    from ocrexp.types import Batch

log = logging.getLogger(__name__)

_LINES = 10  # of progress
_LOSSES = 10  # the last ones, whose mean is a training's loss
_EMPTY_IN_ROW = 100  # batches without a usable sample


@dataclass(frozen=True)
class Evaluated:
    """Validation loss (None with trainer.val_loss=false) and metric of some weights."""

    val_loss: float | None
    metric: float


@dataclass(frozen=True)
class RateTraining:
    """A short training at `rate`, a value of `optim.lr`; `result` is None where it diverged, and `ended` says how."""

    rate: float
    steps: int
    train_loss: float | None
    result: Evaluated | None
    seconds: float
    ended: str = "done"


@dataclass(frozen=True)
class RateTrainings:
    """Short trainings from one start: what the weights reach before the first step, and `metric`, its name."""

    metric: str
    start: Evaluated
    trainings: list[RateTraining]


@dataclass
class _Trained:
    """The steps of a training, from its start."""

    parts: Parts
    factor: float  # of the optimizer's rate over `optim.lr`, with optim.scale_lr
    stepper: Any
    batches: Iterator[Batch]
    losses: list[float] = field(default_factory=list)

    def step(self, rate: float) -> str | None:
        """One step at a value of `optim.lr`; its loss is the last one of `losses`. Returns why training is over."""
        from ocrexp.engine.seed import seed_step
        from ocrexp.engine.step import NonFiniteLoss
        from ocrexp.errors import DataError

        for _ in range(_EMPTY_IN_ROW):
            seed_step(self.parts.config.seed, len(self.losses), 0)
            try:
                report = self.stepper.run(self.batches, self.parts.settings.accumulate, rate * self.factor, _never)
            except NonFiniteLoss as problem:
                loss = float(problem.parts["loss"].astype("float32").mean())
                return "the loss is not finite" if not math.isfinite(loss) else f"the loss has grown to {loss:.2g}"
            if report.updated:
                self.losses.append(float(report.parts["loss"].astype("float32").mean()))
                return None if self.stepper.weights_are_finite() else "the weights are not finite"
        raise DataError(f"{_EMPTY_IN_ROW} batches in a row have no sample that can be used; see debug=targets")


def range_test(config: DictConfig, ramp: Ramp, smoothing: float, diverge: float) -> RangeCurve:
    """Train while the rate rises.

    Args:
        config: of a run in one process, composed and checked.
        ramp: values of `optim.lr`.
        smoothing: share of the mean before in the smoothed loss.
        diverge: the test ends where the smoothed loss is this many times its lowest value.
    """
    import numpy as np

    mean, smoothed, ended = Smoothed(smoothing), [], None
    every = max(1, ramp.steps // _LINES)
    with _training(config) as trained:
        for step in range(ramp.steps):
            if (ended := trained.step(ramp(step))) is not None:
                break
            smoothed.append(mean.add(trained.losses[-1]))
            if step % every == 0 or step == ramp.steps - 1:
                log.info("step %d of %d: lr %.3g, loss %.4g", step + 1, ramp.steps, ramp(step), smoothed[-1])
            if smoothed[-1] > diverge * min(smoothed):
                ended = f"the loss is {diverge:g} times its lowest value"
                break
        if ended is not None:
            log.info("ended at step %d, lr %.3g: %s", len(smoothed), ramp(step), ended)
    count = len(smoothed)
    rates = np.array([ramp(step) for step in range(count)])
    return RangeCurve(rates, np.array(trained.losses[:count]), np.array(smoothed), smoothing, ended)


def short_trainings(config: DictConfig, rates: Sequence[float], steps: int) -> RateTrainings:
    """Train `steps` steps at each value of `optim.lr`, with the schedule of the whole run in these steps, and evaluate.

    The weights themselves are evaluated, not their average (`trainer.ema_decay`), which needs more steps.

    Args:
        config: of a run in one process, composed and checked.
        rates: values of `optim.lr`.
        steps: number of steps of each.
    """
    start, metric, done = None, "", []
    for rate in rates:
        began = time.monotonic()
        own = config.copy()
        own.optim.lr = rate
        with _training(own) as trained:
            if start is None:
                start, metric = _evaluate(trained), trained.parts.evaluator.main
            done.append(_train(trained, rate, steps, began))
    assert start is not None
    return RateTrainings(metric, start, done)


def _train(trained: _Trained, rate: float, steps: int, began: float) -> RateTraining:
    import numpy as np

    parts, total = trained.parts, trained.parts.plan.total_steps
    schedule, thaw = compressed(parts.schedule, total, steps), parts.thaw
    for step in range(steps):
        if thaw is not None and not thaw.done and step >= thaw.step * steps / total:
            thaw.thaw(trained.stepper)
        if (ended := trained.step(schedule(step) / trained.factor)) is not None:
            log.info("lr %.3g: diverged at step %d: %s", rate, step + 1, ended)
            return RateTraining(rate, step, None, None, time.monotonic() - began, f"diverged: {ended}")
    loss = float(np.mean(trained.losses[-_LOSSES:]))
    result = _evaluate(trained)
    shown = "" if result.val_loss is None else f"validation loss {result.val_loss:.4g}, "
    name = parts.evaluator.main
    log.info("lr %.3g: training loss %.4g, %s%s %.4f", rate, loss, shown, name, result.metric)
    return RateTraining(rate, steps, loss, result, time.monotonic() - began)


def compressed(schedule: Schedule, total: int, steps: int) -> Schedule:
    """A schedule of `total` steps in `steps` steps: warm-up, boundaries and end keep their share of the run."""
    return lambda step: schedule(int((step + 0.5) * total / steps))


@contextlib.contextmanager
def _training(config: DictConfig) -> Iterator[_Trained]:
    """The start of the configured run, with its loader's processes."""
    from ocrexp.assemble import assemble
    from ocrexp.engine import distributed
    from ocrexp.engine.seed import seed_everything
    from ocrexp.engine.step import Stepper
    from ocrexp.errors import nothing_done

    distributed.set_device(str(config.trainer.device))
    seed_everything(config.seed)
    with nothing_done():
        parts = assemble(config)
        loader = parts.train_loader
    batches = _epochs(parts)
    try:
        stepper = Stepper(parts.model, parts.loss, parts.optimizer, parts.settings)
        parts.model.train()
        yield _Trained(parts, parts.lr / config.optim.lr, stepper, batches)
    finally:
        batches.close()
        loader.close()
        if "evaluator" in vars(parts):
            parts.evaluator.loader.close()


def _epochs(parts: Parts) -> Generator[Any, None, None]:
    """The batches of the run, epoch after epoch."""
    for epoch in itertools.count():
        batches = parts.train_loader.epoch(epoch)
        try:
            yield from itertools.islice(batches, parts.settings.limit_train_batches)
        finally:
            batches.close()


def _evaluate(trained: _Trained) -> Evaluated:
    evaluator = trained.parts.evaluator
    result = evaluator.run(trained.parts.model, precision=trained.stepper.autocast)
    return Evaluated(result.losses.get("loss"), result.metrics[evaluator.main])


def _never() -> bool:
    return False
