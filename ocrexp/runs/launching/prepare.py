"""A job as Hydra composes it, made in the process that launches the sweep and run elsewhere.

Hydra composes, makes the folder and calls the task function in one step. For a launcher of ours the task function
returns the job instead of training it; see `ocrexp.commands.train`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.engine.status import FINISHED
from ocrexp.errors import OcrexpError
from ocrexp.runs.job import JobResult, SweepJob
from ocrexp.runs.job_process import Training
from ocrexp.runs.plan import SweepPlan
from ocrexp.runs.state import read_state

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

PLUGIN = "hydra_plugins.ocrexp_launchers."


@dataclass(frozen=True)
class Prepared:
    """A job with the environment and the folder in which its process starts."""

    job: SweepJob
    environment: dict[str, str]
    folder: Path


def is_ours(hydra: DictConfig) -> bool:
    """Whether the launcher of a sweep takes prepared jobs."""
    return str(hydra.launcher._target_).startswith(PLUGIN)


@dataclass(frozen=True)
class Composer:
    """What Hydra gives a launcher, to compose jobs with."""

    context: HydraContext
    task_function: TaskFunction
    config: DictConfig

    def begin(self) -> None:
        """What Hydra's own launchers do first."""
        from hydra.core.utils import configure_log, setup_globals

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)

    def prepare(self, overrides: Sequence[str], number: int) -> tuple[JobReturn, Prepared | None]:
        """Compose job `number` and make its folder; what is wrong with the job itself is in Hydra's result."""
        from hydra.core.utils import JobStatus, run_job
        from omegaconf import open_dict

        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        result = run_job(
            hydra_context=self.context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        if result.status != JobStatus.COMPLETED:
            return result, None
        prepared = result.return_value
        assert isinstance(prepared, Prepared)
        result.return_value = None
        return result, prepared

    def to_run(
        self,
        jobs: Sequence[Sequence[str]],
        first: int,
        results: list[JobReturn],
        ready: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[JobReturn, Prepared]]:
        """The jobs that need a process, in order; the results of all jobs are appended to `results`.

        Args:
            jobs: their overrides.
            first: the number of the first one.
            results: see above.
            ready: called before each job is composed; waits for a free place, and is false where the sweep is to stop.
        """
        for number, overrides in enumerate(jobs, first):
            if not ready():
                return
            result, prepared = self.prepare(overrides, number)
            results.append(result)
            if prepared is None:
                continue
            if (outcome := _without_process(prepared)) is not None:
                conclude(result, outcome)
            else:
                yield result, prepared


def hand_over(job: SweepJob) -> Prepared:
    """The job with what Hydra has set for it alone (`hydra.job.env_set`, `hydra.job.chdir`)."""
    return Prepared(job, dict(os.environ), Path.cwd())


def _without_process(prepared: Prepared) -> JobResult | BaseException | None:
    """The outcome of a job that needs no process: it is finished, or the budget of the sweep is used up."""

    def never(training: Training) -> tuple[int, int | None]:
        raise AssertionError(f"{training.run_dir} is trained here")

    job = prepared.job
    allowed = SweepPlan.read(Path(job.hydra.sweep.dir)).allows(job.info.number or 0)
    if read_state(job.run_dir).state not in FINISHED and (allowed or job.trial is not None):
        return None
    try:
        return job.run(never)
    except OcrexpError as error:
        return error


def conclude(result: JobReturn, outcome: JobResult | BaseException) -> None:
    """Write what has become of a job into Hydra's result."""
    from hydra.core.utils import JobStatus

    value: Any = outcome.value if isinstance(outcome, JobResult) else outcome
    result.return_value = value
    result.status = JobStatus.COMPLETED if isinstance(outcome, JobResult) else JobStatus.FAILED
