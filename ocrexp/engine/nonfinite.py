"""Losses and weights that are not finite: what a run does about them (`trainer.nonfinite`)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ocrexp.engine import distributed, health
from ocrexp.engine.launch import ELSEWHERE
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import NonFiniteLoss, Stepper, StepReport
from ocrexp.errors import TrainingError
from ocrexp.types import Batch

logger = logging.getLogger(__name__)


class WeightsCheck:
    """Whether the last update has left finite weights.

    Args:
        stepper: made the update.
        last_lr: the rate of the last step.
        run_dir: for the advice.
    """

    def __init__(self, stepper: Stepper, last_lr: Callable[[], float], run_dir: Path) -> None:
        self._stepper = stepper
        self._last_lr = last_lr
        self._run_dir = run_dir

    def __call__(self, state: TrainState) -> None:
        """Raises TrainingError if they are not finite."""
        if not self._stepper.weights_are_finite():
            raise self.error(state, self._stepper.nonfinite_weight())

    def error(self, state: TrainState, which: str | None) -> TrainingError:
        """The error that names a weight."""
        return TrainingError(health.weights_line(which, state.step, self._last_lr(), self._run_dir))


class NonFinitePolicy:
    """Stops the run at a loss that is not finite or huge, or skips its step where `skips`.

    Args:
        skips: `trainer.nonfinite=skip`.
        run_dir: gets the batch.
        sample_name: image path of a sample's index.
        save_latest: saves the weights from before the step.
        skipped: is called for each step that is skipped.
    """

    def __init__(
        self,
        skips: bool,
        run_dir: Path,
        sample_name: Callable[[int], str],
        save_latest: Callable[[], None],
        skipped: Callable[[], None],
    ) -> None:
        self._skips = skips
        self._run_dir = run_dir
        self._sample_name = sample_name
        self._save_latest = save_latest
        self._skipped = skipped

    def pass_over(
        self, problem: NonFiniteLoss, state: TrainState, lr: float, planned: int, batches: Iterator[Batch]
    ) -> StepReport:
        """Save the batch; stop the run, or give the report of a step without an update.

        The weights are those from before; they are saved unless the loss shows that they are useless. Raises
        TrainingError.
        """
        total = float(problem.parts["loss"].astype("float32"))
        diverged = bool(np.isfinite(total)) and abs(total) >= health.HUGE_LOSS
        if abs(total) < health.HUGE_LOSS:
            line, advice = f"{ELSEWHERE}'s loss is not finite at step {state.step + 1}", ""
        else:
            suffix = f"_rank{distributed.rank()}" if distributed.rank() else ""
            path = self._run_dir / f"nonfinite_batch{suffix}.npz"
            health.save_batch(problem.batch, problem.parts, path, self._sample_name)
            line = health.nonfinite_line(problem.parts, problem.batch, state.step, lr, self._sample_name)
            line = f"{line} (batch saved as {path})"
            advice = f"; {health.DIVERGED if diverged else health.WHAT_TO_TRY}"
        state.skipped_in_row += 1
        if self._skips and state.skipped_in_row < health.SKIPS_IN_ROW:
            logger.warning("%s; this step is skipped", line)
            self._skipped()
            report = problem.report
            for _ in range(planned - report.batches):
                next(batches)
                report.batches += 1
            return dataclasses.replace(report, updated=False, parts={})
        if not diverged:
            self._save_latest()
        raise TrainingError(line + advice)
