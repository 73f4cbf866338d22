"""What decides when a run evaluates, saves and ends."""

from __future__ import annotations

from dataclasses import dataclass

from ocrexp.engine import distributed
from ocrexp.engine.budget import TimeBudget
from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import DONE


@dataclass(frozen=True)
class Stop:
    """Why a run ends before its last step, and what it then is: done or pruned."""

    reason: str
    state: str


class Policy:
    """The intervals of `trainer` in the configuration, and the reasons to end a run before its last step."""

    def __init__(self, settings: TrainerSettings, plan: RunPlan, pretrained: bool) -> None:
        self._settings = settings
        self._plan = plan
        self._pretrained = pretrained
        self.advice = ""  # what to do about the reason
        self.budget = TimeBudget(settings)
        self._stop_request: Stop | None = None  # what a callback of this process asks for
        self._stop: Stop | None = None  # what all processes have agreed on

    def over(self, state: TrainState) -> bool:
        """Whether the run has made its last step."""
        epochs = self._settings.max_epochs
        return (
            state.step >= self._plan.total_steps
            or (epochs is not None and state.epoch >= epochs)
            or self._stop is not None
        )

    @property
    def stop_reason(self) -> str | None:
        """Why the run ends before its last step; None where it does not."""
        return self._stop.reason if self._stop else None

    @property
    def ended(self) -> str:
        """What a run is that has got to its end: done, or pruned."""
        return self._stop.state if self._stop else DONE

    def planned_batches(self, state: TrainState) -> int:
        """Batches of the next step: the last one of an epoch may have fewer than the others."""
        return min(self._settings.accumulate, self._plan.batches_per_epoch - state.batch)

    def log_due(self, state: TrainState) -> bool:
        """Whether a logging interval ends with the step that has just been made."""
        return state.step % self._settings.log_every_steps == 0

    def evaluation_due(self, state: TrainState, step_done: bool, epoch_done: bool) -> bool:
        """Whether to evaluate now; never twice after one step."""
        ours = self._settings
        if state.evaluated_step == state.step:
            return False
        if state.step < ours.eval_start_step or state.epoch < ours.eval_start_epoch:
            return False
        return _due(ours.eval_every_steps, state.step, step_done) or _due(
            ours.eval_every_epochs, state.epoch, epoch_done
        )

    def start_evaluation_due(self, state: TrainState) -> bool:
        """Whether to evaluate before the first step: a resumed run has done so."""
        asked = self._settings.eval_at_start
        return state.step == 0 and state.evaluated_step < 0 and (self._pretrained if asked == "auto" else asked)

    def save_due(self, state: TrainState, step_done: bool, epoch_done: bool) -> bool:
        """Whether to save `latest` now."""
        ours = self._settings
        return (
            _due(ours.save_every_steps, state.step, step_done)
            or _due(ours.save_latest_every_epochs, state.epoch, epoch_done)
            or _due(ours.save_every_epochs, state.epoch, epoch_done)
        )

    def kept_name(self, state: TrainState) -> str | None:
        """The name under which a `latest` of this moment is kept; None if it is not."""
        every = self._settings.save_every_epochs
        kept = every is not None and state.batch == 0 and state.epoch > 0 and state.epoch % every == 0
        return f"iter_epoch_{state.epoch}" if kept else None

    def check_time(self, state: TrainState, seconds: float) -> None:
        """End the run where the time of `trainer.max_minutes` is over; `seconds` are those of the whole run."""
        if self.over(state) or not self.budget.spent(seconds):
            return
        self.request_stop(f"{self.budget.key}={self.budget.minutes:g} is reached")
        self._stop = self._stop_request
        self.advice = f"; resume with a larger {self.budget.key}, or null, to make the remaining steps"

    def request_stop(self, reason: str, state: str = DONE) -> None:
        """Ask for the end of the run, which then is done or pruned; the first reason counts."""
        self._stop_request = self._stop_request or Stop(reason, state)

    def agree_to_stop(self, together: bool) -> None:
        """Take up a request of rank 0; several processes can only agree where all of them are (`together`)."""
        if distributed.world_size() == 1:
            self._stop = self._stop_request
        elif together:
            self._stop = distributed.gather(self._stop_request)[0]


def _due(every: int | None, count: int, just_done: bool) -> bool:
    return just_done and every is not None and count % every == 0
