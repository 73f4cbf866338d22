"""One job of a sweep: a process of its own, its outcome in `status.json`, and nothing done twice.

One process per job separates seeds, memory and environment of the jobs, whatever launcher runs them, and a job
that the system kills takes no other with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ocrexp.command_line import typed
from ocrexp.config.frozen import JOB, RESOLVED, JobInfo, write_job
from ocrexp.engine.console import duration
from ocrexp.engine.status import FAILED, FINISHED, INTERRUPTED, RUNNING, read_status, write_status
from ocrexp.errors import ConfigError, OcrexpError, printable
from ocrexp.files import write_json
from ocrexp.lock import LockedError
from ocrexp.processes import describe_signal
from ocrexp.runs.adapt import adapt
from ocrexp.runs.choices import as_adapted
from ocrexp.runs.fit import worker_command
from ocrexp.runs.folder import locked
from ocrexp.runs.grid import difference
from ocrexp.runs.job_process import Runner, Training, run_here
from ocrexp.runs.plan import QUIET, SweepPlan
from ocrexp.runs.resuming import withdraw
from ocrexp.runs.search.options import is_search
from ocrexp.runs.search.trial import TrialOfJob
from ocrexp.runs.state import NOT_RUN, RunState, has_checkpoint, read_state
from ocrexp.yaml_text import read_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omegaconf import DictConfig

_ADAPTING = threading.Lock()  # of the threads of a launcher: what one logs must not reach the log of another


@dataclass(frozen=True)
class JobResult:
    """What has become of a job: its best metric as the sweeper expects it, and the signal that stopped the sweep."""

    value: float | None
    stop: int | None = None


@dataclass(frozen=True)
class SweepJob:
    """A job: its configuration, folder and names, the trial of a search that it is, and how often it is retried."""

    config: DictConfig
    run_dir: Path
    hydra: DictConfig
    info: JobInfo
    trial: TrialOfJob | None
    retries: int = 0

    @classmethod
    def of(cls, config: DictConfig, run_dir: Path, hydra: DictConfig, retries: int = 0) -> SweepJob:
        """The job that Hydra has composed; one that fails is started up to `retries` more times."""
        trial = TrialOfJob.of(hydra, run_dir)
        number = int(hydra.job.num) if trial is None else trial.number
        varied = _varied(hydra)
        name = ", ".join(varied) or f"job {number}"
        return cls(config, run_dir, hydra, JobInfo(name, Path(hydra.sweep.dir).name, number, varied), trial, retries)

    @property
    def label(self) -> str:
        """`job 3 (optim.lr=0.001)`."""
        return printable(f"job {self.info.number} ({', '.join(self.info.overrides) or 'defaults'})")

    def say(self, text: str, *, error: bool = False) -> None:
        """One line about the job, where no table shows it."""
        if QUIET not in os.environ:
            print(f"ocrexp: {self.label} {printable(text)}", file=sys.stderr if error else sys.stdout, flush=True)

    def run(self, runner: Runner = run_here) -> JobResult:
        """Train the job unless its folder states that it is done. Raises ConfigError where that holds another one."""
        state = read_state(self.run_dir)
        try:
            with locked(self.run_dir):
                return _train(self, state, runner)
        except LockedError as error:
            self.say(f"is skipped: {error}", error=True)
            return JobResult(None)


def run_sweep_job(config: DictConfig, run_dir: Path, hydra: DictConfig, retries: int = 0) -> float | None:
    """Train one job while this process waits; returns its best metric as the sweeper expects it.

    A job that fails is started up to `retries` more times, unless its configuration is what is wrong. A signal that
    stops the sweep ends this process, when the job has saved.
    """
    result = SweepJob.of(config, run_dir, hydra, retries).run()
    if result.stop is not None:
        stop_sweep(result.stop, hydra)
    return result.value


def stop_sweep(number: int, hydra: DictConfig) -> NoReturn:
    """End this process, whose jobs have been stopped by a signal, with the command that resumes them."""
    fix = f"the same command with {typed('train', 'sweep_dir', hydra.sweep.dir)} resumes it"
    with contextlib.suppress(OSError):  # the terminal is closed
        print(f"ocrexp: the sweep stops here; {fix}", file=sys.stderr, flush=True)
    sys.exit(128 + number)


def _train(job: SweepJob, state: RunState, runner: Runner) -> JobResult:
    """The job in its folder, which is locked; `state` is what an earlier attempt has left there."""
    run_dir, sweeper = job.run_dir, job.hydra.get("sweeper")
    if state.state != NOT_RUN:
        _same_configuration(run_dir, job.config, job.label)
        if state.state in FINISHED:
            job.say("is finished and is not run again")
            _tell(job, state.values)
            return JobResult(objective(state.values.get("best_value"), sweeper))
    if job.trial is None and not SweepPlan.read(Path(job.hydra.sweep.dir)).allows(job.info.number or 0):
        if state.state == NOT_RUN:
            (run_dir / JOB).parent.mkdir(parents=True, exist_ok=True)
            write_json(run_dir / JOB, vars(job.info))  # so that it is in the table
        return JobResult(None)
    if job.trial is not None and not job.trial.is_open():
        job.say("has its result from another process, and is not run again")
        return JobResult(None)
    withdraw(run_dir)  # what a killed resume of this job alone wanted to change
    try:
        job = _adapted(job)
    except OcrexpError as error:  # in status.json; the other jobs go on
        job.say(f"failed: {error}", error=True)
        _tell(job, _outcome(run_dir, error.exit_code, None))
        return JobResult(objective(None, sweeper))
    variables = write_job(run_dir, job.config, job.info)
    before = "" if state.state == NOT_RUN else f"{state}; "
    for attempt in range(1, job.retries + 2):
        resumable = state.state != NOT_RUN and has_checkpoint(run_dir)
        write_status(run_dir, state=RUNNING)  # the error of an earlier attempt is no longer true
        job.say(f"{before}{'resumes' if resumable else 'starts'} in {run_dir}")
        code, stop = _run(job, resumable, variables, runner)
        status = _outcome(run_dir, code, stop)
        job.say(_ending(status), error=bool(code))
        if status["state"] != FAILED or stop is not None or attempt > job.retries or code == ConfigError.exit_code:
            break
        state, before = read_state(run_dir), f"attempt {attempt + 1} of {job.retries + 1}: "
    if stop is not None and status["state"] not in FINISHED:
        return JobResult(None, stop)
    _tell(job, status)
    return JobResult(objective(None if code else status.get("best_value"), sweeper), stop)


def _adapted(job: SweepJob) -> SweepJob:
    """The job fitted to its data; one that comes back to its folder as it was fitted before."""
    if (job.run_dir / RESOLVED).is_file():
        return replace(job, config=as_adapted(job.run_dir, job.config))
    with _ADAPTING:
        adapt(job.config, job.run_dir, job.hydra.overrides.task)
    return job


def _ending(status: Mapping[str, Any]) -> str:
    """`done: hmean 0.7123, 120 steps in 4:05`, or the state and its reason."""
    if status["state"] not in FINISHED:
        return f"{status['state']}" + (f": {status['error']}" if status["error"] else "")
    best, seconds, step, total = (status.get(key) for key in ("best_value", "seconds", "step", "total_steps"))
    of = f" of {total}" if step != total else ""
    reached = "" if best is None else f": {status.get('best_metric') or 'metric'} {best:.4f}"
    return f"{status['state']}{reached}, {step}{of} steps in {duration(seconds or 0)}"


def _tell(job: SweepJob, status: Mapping[str, Any]) -> None:
    """Give a search the result; where its study is out of reach, the next start of the search does so."""
    if job.trial is None:
        return
    try:
        job.trial.tell(status)
    except OcrexpError as error:
        print(f"ocrexp: {job.label}: {printable(str(error))}; the same command tells it later", file=sys.stderr)


def objective(best: float | None, sweeper: DictConfig | None) -> float | None:
    """The best metric in the direction in which the sweeper searches.

    Higher metrics are better, while the sweepers of Optuna, Ax and Nevergrad minimize by default: they get
    the negative value then. To a sweeper that searches, a failed job counts as metric 0, the worst one: without a
    number it would end the search.
    """
    minimizes = _minimizes(sweeper)
    if minimizes is None:
        return best
    value = best or 0.0
    return -value if minimizes else value


def _minimizes(sweeper: DictConfig | None) -> bool | None:
    """Whether the sweeper looks for the smallest value; None: it asks for none (a grid, or our search)."""
    from omegaconf import OmegaConf

    if sweeper is None or is_search(sweeper) or "BasicSweeper" in str(OmegaConf.select(sweeper, "_target_")):
        return None
    direction = OmegaConf.select(sweeper, "direction")  # Optuna
    if OmegaConf.is_list(direction):
        direction = direction[0] if direction else None
    if direction is not None:
        return "min" in str(direction).lower()
    if (maximize := OmegaConf.select(sweeper, "optim.maximize")) is not None:  # Nevergrad
        return not maximize
    return bool(OmegaConf.select(sweeper, "ax_config.experiment.minimize", default=False))


def _run(job: SweepJob, resume: bool, variables: Mapping[str, str], runner: Runner) -> tuple[int, int | None]:
    """Train the prepared folder; returns the exit code, and the signal that told the sweep to stop."""
    variables = {**variables, **({} if job.trial is None else job.trial.variables())}
    in_parallel = "Basic" not in str(job.hydra.launcher._target_)
    return runner(
        Training(job.run_dir, job.config, worker_command(job.run_dir, resume), resume, in_parallel, variables)
    )


def _outcome(run_dir: Path, code: int, stop: int | None) -> dict[str, Any]:
    """The job's status, completed where its process could not write it itself."""
    status = read_status(run_dir) or {}
    if code and status.get("state") not in (FAILED, INTERRUPTED):
        if stop is not None:
            write_status(run_dir, state=INTERRUPTED, error="stopped before it could save")
        else:
            how = f"was killed by {describe_signal(-code)}" if code < 0 else f"ended with exit code {code}"
            where = f"the end of {run_dir / 'train.log'} may tell why"
            write_status(run_dir, state=FAILED, error=f"its process {how}; {where}")
        status = read_status(run_dir) or {}
    return {"state": None, "error": None, **status}


def _varied(hydra: DictConfig) -> list[str]:
    """Those of a job's overrides that differ between the jobs, by the sweep's record; all if there is none."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = [str(item) for item in hydra.overrides.task]
    try:  # the grid and our search write it, other sweepers do not; a killed one may have written a part
        content = read_config((Path(hydra.sweep.dir) / "multirun.yaml").read_bytes())["hydra"]
        asked, params = content["overrides"]["task"], content["sweeper"].get("params") or {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return overrides
    parsed = OverridesParser.create().parse_overrides([str(item) for item in asked])
    swept = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    swept |= {str(key) for key in params} - {override.get_key_element() for override in parsed}
    return [item for item in overrides if item.partition("=")[0] in swept]


def _same_configuration(run_dir: Path, config: DictConfig, label: str) -> None:
    """Refuse to mix two experiments in one folder."""
    if (found := difference(run_dir, config)) is not None:
        raise ConfigError(
            f"{label}: {run_dir} contains another configuration ({found}); choose another sweep_dir for this sweep"
        )
