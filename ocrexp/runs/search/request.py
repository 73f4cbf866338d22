"""A search as the command asks for it: checked before a folder is made, without Optuna's help where possible."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ocrexp.config.frozen import read_job
from ocrexp.errors import ConfigError
from ocrexp.runs.grid import difference
from ocrexp.runs.search.options import INSTALL, STUDY_FILE, TRIALS, WHERE, SearchOptions, check_installed, storage_of
from ocrexp.runs.search.space import Space, read_space
from ocrexp.runs.sweep_table import job_folders


@dataclass(frozen=True)
class SearchRequest:
    """The options and the space of a search, and the composed configuration that its jobs share."""

    options: SearchOptions
    space: Space
    task: str

    def target(self) -> int:
        """The number of jobs of the whole search."""
        if self.options.sampler == "grid":
            return min(self.options.n_trials or self.space.size(), self.space.size())
        return self.options.n_trials or TRIALS

    def examples(self) -> list[list[str]]:
        """Jobs that between them hold each value to choose from, and the ends of each range."""
        ends = {name: axis.ends() for name, axis in self.space.axes.items()}
        longest = max(len(values) for values in ends.values())
        return [
            [*self.space.fixed, *(values[min(row, len(values) - 1)] for values in ends.values())]
            for row in range(longest)
        ]

    def check_folder(self, sweep_dir: Path) -> None:
        """Raises ConfigError, in one line, where the folder has jobs and not the study of a search, or jobs that were
        composed with other values than this command's."""
        from ocrexp.config.compose import compose

        runs = list(job_folders(sweep_dir))
        own = storage_of(self.options, sweep_dir) == str(sweep_dir.absolute() / STUDY_FILE)
        if runs and own and not (sweep_dir / STUDY_FILE).is_file():
            raise ConfigError(
                f"sweep_dir={sweep_dir}: contains a sweep that is not a search; choose another sweep_dir, and "
                f"{WHERE}.warm_start=[{sweep_dir}] to begin with its results"
            )
        for run_dir in runs[:1]:
            values = dict(item.partition("=")[::2] for item in read_job(run_dir).overrides)
            if all(axis.key in values for axis in self.space.axes.values()):
                job = [*self.space.fixed, *(f"{axis.key}={values[axis.key]}" for axis in self.space.axes.values())]
                if (found := difference(run_dir, compose("train", job))) is not None:
                    raise ConfigError(
                        f"sweep_dir={sweep_dir}: contains another search (job {run_dir.name} has {found}); "
                        "choose another sweep_dir"
                    )


def read_search(config: DictConfig, overrides: Sequence[str]) -> SearchRequest:
    """What `hydra.sweeper` and the command line ask for.

    Raises ConfigError, in one line, for options that cannot be, a space that cannot be searched, a missing package.
    """
    options = SearchOptions.read(config.hydra.sweeper)
    check_installed()
    space = read_space(options.params, overrides, config)
    if options.sampler == "grid":
        space.size()
    if options.sampler == "cmaes":
        if importlib.util.find_spec("cmaes") is None:
            raise ConfigError(f"{WHERE}.sampler=cmaes: the package cmaes is not installed; run: {INSTALL}")
        numbers = [axis for axis in space.axes.values() if not axis.choices and axis.low < axis.high]
        if len(numbers) < 2:
            raise ConfigError(f"{WHERE}.sampler=cmaes: needs two or more keys that are numbers; choose tpe or random")
    if any(str(item).startswith("hydra.sweep.subdir=") for item in config.hydra.overrides.hydra):
        raise ConfigError("hydra.sweep.subdir: a search names the folder of a job by its trial; unset it")
    storage_of(options, Path(config.hydra.sweep.dir))
    if options.warm_start:
        from ocrexp.runs.search.warm_start import run_folders

        run_folders(options.warm_start)
    return SearchRequest(options, space, str(config.get("task")))
