"""A job's trial: which one it is, what its evaluations report, and how it ends."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.engine.status import DONE, FAILED, PRUNED
from ocrexp.errors import printable
from ocrexp.results import EvalResult
from ocrexp.runs.search.options import OBJECTIVES, SearchOptions, is_search, storage_of, study_name_of

if TYPE_CHECKING:
    from optuna.study import Study

log = logging.getLogger(__name__)

VARIABLE = "OCREXP_TRIAL"  # of the process that trains: the trial to which it reports
CALLBACK = "search"


@dataclass(frozen=True)
class TrialOfJob:
    """The trial of a job: its number in a study, and the search's options."""

    storage: str
    study: str
    number: int
    options: SearchOptions

    @classmethod
    def of(cls, hydra: DictConfig, run_dir: Path) -> TrialOfJob | None:
        """The trial of a job of a sweep, whose folder has the trial's number; None where the sweep is no search."""
        sweeper = hydra.get("sweeper")
        if not is_search(sweeper):
            return None
        options = SearchOptions.read(sweeper)
        sweep_dir = Path(hydra.sweep.dir)
        return cls(storage_of(options, sweep_dir), study_name_of(options, sweep_dir), int(run_dir.name), options)

    def variables(self) -> dict[str, str]:
        """The environment of a process that reports to this trial."""
        return {VARIABLE: json.dumps(asdict(self))}

    def open(self) -> Study:
        """The study; raises StudyError."""
        import optuna

        from ocrexp.runs.search.study import explained, make_pruner, open_storage

        storage = open_storage(self.storage)
        with explained(self.storage):
            return optuna.load_study(study_name=self.study, storage=storage, pruner=make_pruner(self.options))

    def id_in(self, study: Study) -> int:
        """The storage's id of the trial."""
        return study._storage.get_trial_id_from_study_id_trial_number(study._study_id, self.number)

    def is_open(self) -> bool:
        """Whether the trial still waits for a result: another process may have finished it meanwhile."""
        from ocrexp.runs.search.study import explained

        study = self.open()
        with explained(self.storage):
            return not study._storage.get_trial(self.id_in(study)).state.is_finished()

    def tell(self, status: Mapping[str, Any]) -> None:
        """Give the study the result of a job that has ended; nothing for one that is to be resumed.

        Raises StudyError; the result is in the job's folder then, and the next start of the search tells it.
        """
        from optuna.trial import TrialState

        from ocrexp.runs.search.study import explained

        state, values = status.get("state"), values_of(status, self.options)
        if state not in (DONE, PRUNED, FAILED):
            return
        study = self.open()
        with explained(self.storage):
            trial = self.id_in(study)
            if study._storage.get_trial(trial).state.is_finished():
                return
            if state == DONE and values is not None:
                study.tell(self.number, values)
            elif state == PRUNED:
                study.tell(self.number, state=TrialState.PRUNED)
            else:
                lacking = f"status.json has no value of {', '.join(self.options.objectives)}"
                study._storage.set_trial_user_attr(trial, "error", str(status.get("error") or lacking)[:500])
                study.tell(self.number, state=TrialState.FAIL)


def values_of(status: Mapping[str, Any], options: SearchOptions) -> list[float] | None:
    """The objectives of a job; None where one of them has no value."""
    values = [status.get(OBJECTIVES[name]) for name in options.objectives]
    numbers = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    return numbers if len(numbers) == len(values) else None


def trial_callbacks() -> dict[str, Callback]:
    """The callback of a process that trains for a search, by its name; none for any other process."""
    text = os.environ.get(VARIABLE)
    if not text:
        return {}
    values = json.loads(text)
    return {CALLBACK: ReportToStudy(TrialOfJob(**{**values, "options": SearchOptions(**values["options"])}))}


class ReportToStudy(Callback):
    """Reports each evaluation to the trial, and ends the run where the study's pruner says so.

    Evaluations are counted from 1, without the one before the first step. A study out of reach is reported once;
    training continues without being pruned.
    """

    def __init__(self, trial: TrialOfJob) -> None:
        self._trial = trial
        self._evaluations = 0
        self._study: Study | None = None
        self._failed = False

    def on_evaluation_end(self, run: RunView, result: EvalResult, is_best: bool) -> None:  # noqa: ARG002
        if run.step == 0:  # of weights that no job has changed yet
            return
        self._evaluations += 1
        objective = self._trial.options.objectives[0]
        value = result.metrics[run.main_metric] if objective == "metric" else result.losses.get("loss")
        if self._failed or not self._trial.options.can_prune or value is None or not math.isfinite(value):
            return
        from ocrexp.runs.search.study import StudyError

        try:
            pruned = self._report(float(value))
        except StudyError as error:
            self._failed = True
            log.warning("%s; this job is no longer pruned", error)
            return
        if pruned and run.step < run.total_steps:
            name = run.main_metric if objective == "metric" else objective
            what = f"{name} {value:.4f} at evaluation {self._evaluations}"
            run.request_stop(f"pruned, because other jobs of the search do better ({what})", PRUNED)

    def _report(self, value: float) -> bool:
        """Whether the pruner would end the trial now."""
        from ocrexp.runs.search.study import explained

        if self._study is None:
            self._study = self._trial.open()
        study, storage = self._study, self._study._storage
        with explained(self._trial.storage):
            trial = self._trial.id_in(study)
            if self._evaluations not in storage.get_trial(trial).intermediate_values:  # made again by a resumed job
                storage.set_trial_intermediate_value(trial, self._evaluations, value)
            return study.pruner.prune(study, storage.get_trial(trial))

    def state_dict(self) -> dict[str, Any]:
        return {"evaluations": self._evaluations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        count = state["evaluations"]
        if type(count) is not int or count < 0:
            raise ValueError(f"{CALLBACK}: evaluations is {count!r:.40}")
        self._evaluations = count


def describe_failure(error: BaseException) -> str:
    """An error as the study keeps it: one line."""
    return printable(" ".join(str(error).split())[:500] or type(error).__name__)
