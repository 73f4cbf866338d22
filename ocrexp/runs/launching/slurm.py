"""Jobs on a Slurm cluster, through submitit: one array of jobs, watched until the last one has ended.

The jobs do not need the process that has submitted them. Where it was killed, or its terminal closed, the same command
with the same `sweep_dir` finds the jobs that still wait or run, and waits for them.
"""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ocrexp.errors import ConfigError
from ocrexp.files import read_text, write_json
from ocrexp.lock import LOCK, is_held
from ocrexp.runs.job import JobResult, stop_sweep
from ocrexp.runs.launching.prepare import Composer, conclude
from ocrexp.runs.launching.remote import RemoteJob
from ocrexp.runs.launching.settings import options_of
from ocrexp.runs.launching.signals import handling
from ocrexp.runs.launching.slurm_settings import SlurmLaunching
from ocrexp.runs.plan import SweepSettings

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

FOLDER = Path(".submitit")  # in the sweep folder: batch scripts, pickled jobs and their logs
SUBMITTED = Path(".hydra") / "slurm.json"  # in a run folder: the job of Slurm that trains it
LOOK_SECONDS = 1.0  # between two looks at the run folders
QUEUE_SECONDS = 20.0  # between two calls of squeue; a tenth of it while jobs are being canceled
_MOST = 1000  # jobs of an array; Slurm's own default limit is 1001
_MISSED = 2  # looks at the queue without a job, after which it has ended


@dataclass
class Submitted:
    """A job that Slurm has."""

    remote: RemoteJob
    result: JobReturn
    id: str
    attempts: int = 1
    missed: int = 0
    ended: bool = field(default=False, init=False)

    def record(self) -> None:
        """Note in the run folder which job of Slurm it is, for a command that comes back."""
        write_json(self.remote.job.run_dir / SUBMITTED, {"id": self.id, "token": self.remote.token})

    def end(self, outcome: JobResult | BaseException) -> None:
        """Write what has become of it."""
        conclude(self.result, outcome)
        self.ended = True


def run_on_slurm(composer: Composer, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Submit jobs, given by their overrides and numbered from `first`, and return when all have ended.

    Ctrl-C and SIGTERM cancel them, and they save. Raises ConfigError where Slurm refuses them.
    """
    launching = SlurmLaunching.read(options_of(composer.config.hydra.launcher))
    composer.begin()
    folder = Path(composer.config.hydra.sweep.dir).absolute() / FOLDER
    queue = active_jobs() or {}
    results: list[JobReturn] = []
    waiting, found = [], []
    for result, prepared in composer.to_run(jobs, first, results):
        remote = RemoteJob.of(prepared)
        earlier = _earlier(remote, queue)
        if earlier is not None:
            found.append(Submitted(earlier[1], result, earlier[0]))
        else:
            waiting.append((remote, result))
    submitted = found
    with _canceling(submitted) as stop:
        if found:
            print(f"ocrexp: {len(found)} jobs of this sweep are in Slurm's queue already; waiting for them", flush=True)
        if not stop:
            submitted += submit(waiting, folder, launching)
        if stop:  # it has come meanwhile
            _cancel(submitted)
        _wait(submitted, folder, launching, SweepSettings.read(composer.config).retries, stop)
    if stop:
        stop_sweep(stop[0], composer.config.hydra)
    return results


def submit(jobs: Sequence[tuple[RemoteJob, JobReturn]], folder: Path, launching: SlurmLaunching) -> list[Submitted]:
    """Submit jobs as arrays. Raises ConfigError, in one line, where Slurm refuses them."""
    import submitit

    submitted: list[Submitted] = []
    for begin in range(0, len(jobs), _MOST):
        part = jobs[begin : begin + _MOST]
        name = part[0][0].job.info.group or "sweep"
        executor = submitit.SlurmExecutor(folder, max_num_timeout=launching.requeues)
        try:
            executor.update_parameters(job_name=f"ocrexp {name}", **launching.parameters)
            with executor.batch():
                handles = [executor.submit(remote) for remote, _ in part]
            ids = [str(handle.job_id) for handle in handles]
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, ValueError) as error:
            raise ConfigError(f"launcher=slurm: sbatch refused the jobs: {_last_line(error)}") from None
        for (remote, result), slurm_id in zip(part, ids, strict=True):
            submitted.append(Submitted(remote, result, slurm_id))
            submitted[-1].record()
        array = ids[0].partition("_")[0]
        print(f"ocrexp: {len(part)} jobs are submitted as Slurm job {array}; their logs: {folder}", flush=True)
    return submitted


def active_jobs() -> dict[str, str] | None:
    """The ids and states of this user's jobs that wait or run; None where squeue gives no answer."""
    command = ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%i|%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split("|", 1) for line in done.stdout.split() if "|" in line)


def ended_as(slurm_id: str) -> str:
    """How a job ended, as accounting has it (`OUT_OF_MEMORY`); empty where there is no accounting."""
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--jobs", slurm_id, "--format", "State"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip().partition("\n")[0]
    return ""


def _earlier(remote: RemoteJob, queue: Mapping[str, str]) -> tuple[str, RemoteJob] | None:
    """The job of Slurm that an earlier command has submitted for the same folder, if it still waits or runs."""
    try:
        content = json.loads(read_text(remote.job.run_dir / SUBMITTED))
        slurm_id, token = str(content["id"]), str(content["token"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return (slurm_id, replace(remote, token=token)) if slurm_id in queue else None


def _wait(
    submitted: Sequence[Submitted], folder: Path, launching: SlurmLaunching, retries: int, stop: list[int]
) -> None:
    """Wait until all jobs have ended; jobs that are lost are submitted again, up to `retries` times."""
    looked = time.monotonic()
    while open_jobs := [entry for entry in submitted if not entry.ended]:
        for entry in open_jobs:
            if (outcome := entry.remote.outcome()) is not None:
                entry.end(outcome)
        if time.monotonic() - looked < QUEUE_SECONDS / (10 if stop else 1):
            time.sleep(LOOK_SECONDS)
            continue
        looked = time.monotonic()
        if (queue := active_jobs()) is None:
            continue
        for entry in open_jobs:
            entry.missed = 0 if entry.id in queue else entry.missed + 1
            if entry.missed >= _MISSED and not entry.ended and not is_held(entry.remote.job.run_dir / LOCK):
                _gone(entry, folder, launching, retries, bool(stop))


def _gone(entry: Submitted, folder: Path, launching: SlurmLaunching, retries: int, stopped: bool) -> None:
    """A job that is no longer in the queue and has left no outcome."""
    if (outcome := entry.remote.outcome()) is not None:  # it came in this moment
        entry.end(outcome)
        return
    how, log = ended_as(entry.id), folder / f"{entry.id}_0_log.err"
    if stopped or how.startswith("CANCEL"):  # its own status says that it was interrupted
        entry.end(JobResult(None))
        return
    if entry.attempts <= retries:
        entry.remote.job.say(f"its Slurm job {entry.id} ended {how or 'without a result'}; it is submitted again")
        again = submit([(entry.remote, entry.result)], folder, launching)[0]
        entry.id, entry.attempts, entry.missed = again.id, entry.attempts + 1, 0
        return
    entry.end(entry.remote.lost(f"Slurm job {entry.id} ended {how or 'without a result'}; see {log}"))


@contextmanager
def _canceling(submitted: Sequence[Submitted]) -> Iterator[list[int]]:
    """Within this block Ctrl-C and SIGTERM cancel the jobs, which save; the signal is in the list then.

    Where the terminal is closed (SIGHUP), the jobs stay in the queue and this process ends.
    """
    received: list[int] = []

    def cancel(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)
        _cancel(submitted)

    with handling({signal.SIGINT: cancel, signal.SIGTERM: cancel}):
        yield received


def _cancel(submitted: Sequence[Submitted]) -> None:
    """Have Slurm stop the jobs that have not ended."""
    ids = [entry.id for entry in submitted if not entry.ended]
    print(f"ocrexp: canceling {len(ids)} Slurm jobs, which save first", file=sys.stderr, flush=True)
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["scancel", *ids], timeout=60, check=False)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".")
