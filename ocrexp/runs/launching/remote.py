"""A job in a process that a scheduler has started, here or on another machine.

Everything that the job needs travels with it as plain values; what becomes of it is in its folder, `status.json` and
`.hydra/outcome.json`, which the process that launched the sweep reads.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ocrexp.engine.status import FAILED, FINISHED, write_status
from ocrexp.environment import CORES, find_own_modules
from ocrexp.errors import ConfigError, OcrexpError, TrainingError
from ocrexp.files import read_text, write_json
from ocrexp.logs import ignore_paddle_warnings
from ocrexp.processes import OWNER, PARENT, owning
from ocrexp.runs.job import JobResult, SweepJob, objective
from ocrexp.runs.launching.prepare import Prepared
from ocrexp.runs.plan import QUIET
from ocrexp.runs.state import read_state
from ocrexp.runs.warm import SWITCH as WARM

if TYPE_CHECKING:
    from omegaconf import DictConfig

OUTCOME = Path(".hydra") / "outcome.json"
_SECONDS_BETWEEN_LOOKS = 1.0
REQUEUE = signal.SIGUSR2  # of a scheduler: time is nearly up, or the job is preempted; see submitit


@dataclass(frozen=True)
class RemoteJob:
    """A job as it is sent to a scheduler.

    Attributes:
        job: with a configuration that refers to nothing of this process.
        folder: where its process starts.
        variables: what its environment has besides that of the scheduler; None removes a variable.
        token: of this submission; an outcome with another one is of an earlier attempt.
        stop_file: the job saves and leaves when this file is there, where a scheduler passes no signals on.
    """

    job: SweepJob
    folder: Path
    variables: Mapping[str, str | None] = field(default_factory=dict)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    stop_file: Path | None = None

    @classmethod
    def of(
        cls, prepared: Prepared, variables: Mapping[str, str | None] | None = None, stop_file: Path | None = None
    ) -> RemoteJob:
        """A prepared job with the variables that Hydra has set for it alone, and with these."""
        own = {name: value for name, value in prepared.environment.items() if os.environ.get(name) != value}
        job = replace(prepared.job, hydra=_portable(prepared.job.hydra))
        return cls(job, prepared.folder, {**own, **(variables or {})}, stop_file=stop_file)

    def __call__(self) -> None:
        """Run the job, here and now; its outcome is in its folder at the end.

        A process that a signal has told to stop ends with 128 + signal and without an outcome, because a scheduler
        that has preempted it may start it again; for `REQUEUE` the handler that was there before is called then.
        """
        from ocrexp.engine.devices import settle_devices

        self._enter()
        with owning(), _requeue_stops() as requeued:
            try:
                settle_devices(self.job.config)
                result: JobResult | OcrexpError = self.job.run()
            except OcrexpError as error:
                result = error
        if isinstance(result, JobResult) and result.stop is not None:
            if not requeued or self._is_requeued():
                sys.exit(128 + result.stop)
            result = JobResult(None)
        self._write(result)

    def _is_requeued(self) -> bool:
        """Have submitit start this job again; it does so in another process, or refuses after too many times."""
        from submitit.core.utils import UncompletedJobError

        try:
            signal.raise_signal(REQUEUE)
        except UncompletedJobError as error:
            self.job.say(f"is not started again: {error}; the same command resumes it", error=True)
            return False
        return True

    def checkpoint(self) -> Any:
        """Called by submitit when the job is to be requeued: it has saved, and resumes from there."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _enter(self) -> None:
        """Make this process one that trains the job."""
        for name in (QUIET, OWNER, PARENT):  # of the process that has launched the sweep
            os.environ.pop(name, None)
        os.environ[WARM] = "0"  # one job has nothing to share
        for name, value in self.variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        cores = os.environ.get("SLURM_CPUS_PER_TASK", "")
        if cores.isdecimal() and CORES not in os.environ:
            os.environ[CORES] = cores
        if self.stop_file is not None:
            threading.Thread(target=_watch, args=(self.stop_file,), daemon=True).start()
        if self.folder.is_dir():
            os.chdir(self.folder)
        ignore_paddle_warnings()
        find_own_modules()

    def _write(self, result: JobResult | OcrexpError) -> None:
        content: dict[str, Any] = {"token": self.token}
        if isinstance(result, JobResult):
            content["value"] = result.value
        else:
            content |= {"error": str(result), "exit_code": result.exit_code}
            if not isinstance(result, ConfigError):
                write_status(self.job.run_dir, state=FAILED, error=str(result))
        write_json(self.job.run_dir / OUTCOME, content)

    def outcome(self) -> JobResult | OcrexpError | None:
        """What has become of the job; None before its end."""
        try:
            content = json.loads(read_text(self.job.run_dir / OUTCOME))
            if content["token"] != self.token:
                return None
            if "error" in content:
                kind = ConfigError if content["exit_code"] == ConfigError.exit_code else TrainingError
                return kind(str(content["error"]))
            value = content["value"]
            return JobResult(float(value) if isinstance(value, int | float) else None)
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def lost(self, why: str) -> JobResult:
        """The outcome of a job whose process has ended without one: that of a run that is done, else failed."""
        state = read_state(self.job.run_dir)
        if state.state in FINISHED:
            return JobResult(objective(state.values.get("best_value"), self.job.hydra.get("sweeper")))
        write_status(self.job.run_dir, state=FAILED, error=why)
        self.job.say(f"failed: {why}", error=True)
        return JobResult(objective(None, self.job.hydra.get("sweeper")))


def _watch(stop_file: Path) -> None:
    while not stop_file.exists():
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _portable(hydra: DictConfig) -> DictConfig:
    """What a job reads of Hydra's own configuration, without interpolations and with an absolute folder."""
    from omegaconf import OmegaConf

    sweeper = hydra.get("sweeper")
    return OmegaConf.create(
        {
            "overrides": {"task": [str(item) for item in hydra.overrides.task]},
            "sweep": {"dir": str(Path(hydra.sweep.dir).absolute())},
            "sweeper": None if sweeper is None else OmegaConf.to_container(sweeper, resolve=True),
            "launcher": {"_target_": str(hydra.launcher._target_)},
        }
    )


@contextmanager
def _requeue_stops() -> Iterator[list[int]]:
    """Within this block REQUEUE tells the job to save and leave, as SIGTERM does; it is in the list then."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(REQUEUE, stop)
    try:
        yield received
    finally:
        signal.signal(REQUEUE, before)
