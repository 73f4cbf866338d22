"""The search: asks the study for values, launches their jobs, and takes over jobs of processes that have ended.

A job's folder is `<sweep folder>/<number of its trial>`, so any number of processes and machines share one study. A
trial whose process has ended keeps its number: the next process that looks resumes its job from its checkpoint.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from ocrexp.errors import OcrexpError, printable
from ocrexp.lock import LOCK, is_held
from ocrexp.owner import Owner
from ocrexp.runs.launching.read import read_launching
from ocrexp.runs.plan import Budget, SweepSettings
from ocrexp.runs.search.options import storage_of, study_name_of
from ocrexp.runs.search.request import SearchRequest, read_search
from ocrexp.runs.search.samplers import make_sampler, own_trials
from ocrexp.runs.search.study import explained, make_study, shown
from ocrexp.runs.search.trial import describe_failure
from ocrexp.runs.search.warm_start import add_earlier_runs

OWNER = "owner"  # attribute of a trial: the process that has asked for it
_ASKING_SECONDS = 10.0  # between a trial and its owner's name

Launch = Callable[[list[list[str]]], None]


class Search:
    """A search in a sweep folder.

    Args:
        launch: runs jobs, given by their overrides, and returns when all have ended. May raise what composing raises.
        width: jobs that the launcher runs at a time.
    """

    def __init__(self, request: SearchRequest, sweep_dir: Path, launch: Launch, width: int) -> None:
        options, space = request.options, request.space
        self._space = space
        self._folder = sweep_dir
        self._launch = launch
        self._width = options.n_jobs or width
        self._place = storage_of(options, sweep_dir)
        name = study_name_of(options, sweep_dir)
        self._study = make_study(self._place, name, options, space, make_sampler(options, space))
        self._target = request.target()
        self._mine: set[int] = set()  # trials that this process has launched
        print(f"ocrexp: study {printable(name)} in {printable(shown(self._place))}, {self._target} jobs", flush=True)
        with explained(self._place):
            for line in add_earlier_runs(self._study, options, space, request.task):
                print(f"ocrexp: {line}", flush=True)

    def run(self, budget: Budget) -> None:
        """Launch jobs until the study has them all, or the budget is used up."""
        while not budget.used_up():
            with explained(self._place):
                batch = self._next(budget.left(self._width))
                waits = not batch and any(self._is_being_asked(trial) for trial in own_trials(self._study))
            if waits:  # its process names itself in a moment, or was killed before it could
                time.sleep(0.2)
                continue
            if not batch:
                return
            budget.take(len(batch))
            self._mine |= set(batch)
            jobs = {number: self._space.job(params) for number, params in batch.items()}
            try:
                self._launch([[*overrides, f"hydra.sweep.subdir={number}"] for number, overrides in jobs.items()])
            except OcrexpError:
                if not self._blame(jobs):
                    raise

    def _next(self, width: int) -> dict[int, dict[str, Any]]:
        """Up to `width` trials: those of processes that have ended first, then new ones."""
        batch: dict[int, dict[str, Any]] = {}
        for trial in own_trials(self._study):
            if len(batch) < width and trial.number not in self._mine and self._abandoned(trial):
                adopted = Trial(self._study, trial._trial_id)
                self._own(adopted)
                batch[trial.number] = self._values(adopted)
        while len(batch) < width and len(own_trials(self._study)) < self._target:
            asked = self._study.ask()
            self._own(asked)
            place = sum(other.number < asked.number for other in own_trials(self._study))
            if place >= self._target:  # another process has asked for the last one at the same moment
                self._study.tell(asked, state=TrialState.FAIL)
                break
            batch[asked.number] = self._values(asked)
        return batch

    def _values(self, trial: Trial) -> dict[str, Any]:
        """The values of a trial, drawn where it has none yet."""
        return {name: _suggest(trial, name, axis.distribution()) for name, axis in self._space.axes.items()}

    @staticmethod
    def _own(trial: Trial) -> None:
        """Name this process as the one that has asked for the trial."""
        trial.set_user_attr(OWNER, json.dumps(asdict(Owner.here())))

    @staticmethod
    def _is_being_asked(trial: FrozenTrial) -> bool:
        """Whether a process has asked for the trial just now and not yet named itself."""
        begun = trial.datetime_start
        unnamed = trial.state == TrialState.RUNNING and OWNER not in trial.user_attrs
        return unnamed and begun is not None and 0 <= time.time() - begun.timestamp() <= _ASKING_SECONDS

    def _abandoned(self, trial: FrozenTrial) -> bool:
        """Whether the process of an unfinished trial has ended, as far as can be seen from here."""
        if trial.state != TrialState.RUNNING:
            return False
        text = trial.user_attrs.get(OWNER)
        if text is None:
            return not self._is_being_asked(trial)
        lock = self._folder / str(trial.number) / LOCK
        if is_held(lock):
            return False
        runs = Owner(**json.loads(text)).runs()
        return lock.exists() if runs is None else not runs

    def _blame(self, jobs: dict[int, list[str]]) -> bool:
        """Whether a launch has failed because jobs do not compose; their trials count as failed then."""
        from ocrexp.config.check import check_early
        from ocrexp.config.compose import compose

        found = False
        for number, overrides in jobs.items():
            try:
                check_early(compose("train", overrides))
            except OcrexpError as problem:
                found = True
                line = describe_failure(problem)
                print(f"ocrexp: job {number} failed: {line}", file=sys.stderr, flush=True)
                with explained(self._place):
                    frozen = self._study.get_trials(deepcopy=False)[number]
                    self._study._storage.set_trial_user_attr(frozen._trial_id, "error", line)
                    self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        return found


def _suggest(trial: Trial, name: str, kind: BaseDistribution) -> Any:
    if isinstance(kind, CategoricalDistribution):
        return trial.suggest_categorical(name, kind.choices)
    if isinstance(kind, IntDistribution):
        return trial.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
    assert isinstance(kind, FloatDistribution)
    return trial.suggest_float(name, kind.low, kind.high, step=kind.step, log=kind.log)


def run_search(config: DictConfig, overrides: Sequence[str], launch: Launch) -> None:
    """Run the search that a command asks for, to its end or to the end of its budget; see `Search`."""
    request = read_search(config, overrides)
    search = Search(request, Path(config.hydra.sweep.dir), launch, read_launching(config.hydra.launcher).width)
    search.run(Budget.of(SweepSettings.read(config)))
