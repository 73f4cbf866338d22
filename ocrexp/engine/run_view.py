"""What callbacks read of a running training."""

from __future__ import annotations

from pathlib import Path

from ocrexp.engine.policy import Policy
from ocrexp.engine.settings import RunPlan
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import DONE
from ocrexp.engine.validation import Validation
from ocrexp.loggers.base import RunInfo


class ViewOfState:
    """The part of `ocrexp.engine.callbacks.base.RunView` that follows from where a run stands."""

    state: TrainState
    plan: RunPlan
    validation: Validation
    _run: RunInfo
    _policy: Policy

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self._run.run_dir

    @property
    def step(self) -> int:
        """Steps made since the very beginning."""
        return self.state.step

    @property
    def epoch(self) -> int:
        """The epoch being trained, from 0."""
        return self.state.epoch

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.plan.total_steps

    @property
    def best_metrics(self) -> dict[str, float]:
        """Values of the best evaluation so far."""
        return dict(self.state.best_metrics)

    @property
    def main_metric(self) -> str:
        """Name of the value that decides which evaluation is best."""
        return self.validation.main

    def request_stop(self, reason: str, state: str = DONE) -> None:
        """End the run after the present step, with a final evaluation; `state` is what it then is: done or pruned."""
        self._policy.request_stop(reason, state)
