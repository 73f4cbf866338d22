"""What a sweep may still do: retries of failed jobs, and a budget after which no further job starts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.errors import ConfigError
from ocrexp.files import read_text, write_json

FILENAME = "sweep.json"
QUIET = "OCREXP_QUIET_JOBS"  # of the processes that run jobs: a table shows what they would print


@dataclass(frozen=True)
class SweepSettings:
    """The node `sweep`; `conf/train.yaml` says what each value means."""

    retries: int = 0
    minutes: float | None = None
    jobs: int | None = None

    @classmethod
    def read(cls, config: DictConfig) -> SweepSettings:
        """The values of a composed configuration. Raises ConfigError, in one line, for one that cannot be."""
        node: Any = OmegaConf.to_container(config.get("sweep") or OmegaConf.create({}), resolve=True)
        if not isinstance(node, dict):
            raise ConfigError(f"sweep: expected an option of the group or a node of values, got {node!r}")
        retries, budget = node.get("retries", 0), node.get("stop_when") or {}
        if type(retries) is not int or retries < 0:
            raise ConfigError(f"sweep.retries: expected a whole number, 0 or more, got {retries!r}")
        if not isinstance(budget, dict):
            raise ConfigError(f"sweep.stop_when: expected sweep.stop_when.minutes=N or .jobs=N, got {budget!r}")
        minutes, jobs = budget.get("minutes"), budget.get("jobs")
        if minutes is not None and not (type(minutes) in (int, float) and minutes > 0 and math.isfinite(minutes)):
            raise ConfigError(f"sweep.stop_when.minutes: expected a number above 0, or null, got {minutes!r}")
        if jobs is not None and not (type(jobs) is int and jobs > 0):
            raise ConfigError(f"sweep.stop_when.jobs: expected a whole number, 1 or more, or null, got {jobs!r}")
        return cls(retries, minutes, jobs)

    @property
    def until(self) -> float | None:
        """The time, in seconds since 1970, after which no job starts; None: no limit. For a sweep that starts now."""
        return None if self.minutes is None else time.time() + 60 * self.minutes


@dataclass
class Budget:
    """What a search may still start."""

    until: float | None = None
    jobs: int | None = None
    _told: bool = False

    @classmethod
    def of(cls, settings: SweepSettings) -> Budget:
        """The budget of a search that starts now."""
        return cls(settings.until, settings.jobs)

    def used_up(self) -> bool:
        """Whether no further job may start; the first time it is, a line says so."""
        over = self.jobs == 0 or (self.until is not None and time.time() >= self.until)
        if over and not self._told:
            self._told = True
            print(f"ocrexp: {SPENT}", flush=True)
        return over

    def left(self, width: int) -> int:
        """Up to `width` jobs."""
        return width if self.jobs is None else min(width, self.jobs)

    def take(self, count: int) -> None:
        """Count jobs that start."""
        if self.jobs is not None:
            self.jobs -= count


SPENT = "the budget sweep.stop_when is used up; the same command runs the remaining jobs"


@dataclass(frozen=True)
class SweepPlan:
    """`sweep.json` of a sweep folder: the limits of the command that runs there, as its jobs read them.

    `until`: the time after which no job starts. `jobs`: the numbers of those that may start; None: all. `objectives`:
    what the sweep searches for, see `ocrexp.runs.search.options.OBJECTIVES`.
    """

    until: float | None = None
    jobs: list[int] | None = None
    objectives: list[str] = field(default_factory=lambda: ["metric"])

    @property
    def limited(self) -> bool:
        """Whether jobs may stay `not run`."""
        return self.until is not None or self.jobs is not None

    def allows(self, number: int) -> bool:
        """Whether a job may start now."""
        return (self.jobs is None or number in self.jobs) and (self.until is None or time.time() < self.until)

    def write(self, sweep_dir: Path) -> None:
        """Write the file."""
        write_json(sweep_dir / FILENAME, asdict(self))

    @classmethod
    def read(cls, sweep_dir: Path) -> SweepPlan:
        """The plan of a sweep; one without limits where there is no file that can be read."""
        try:
            content = json.loads(read_text(sweep_dir / FILENAME))
            until, jobs, objectives = content["until"], content["jobs"], content["objectives"]
            fits = (until is None or type(until) in (int, float)) and (jobs is None or _all(jobs, int))
            if not fits or not _all(objectives, str):
                return cls()
            return cls(until, jobs, objectives)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return cls()


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str) and all(type(value) is kind for value in values)
