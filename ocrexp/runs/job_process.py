"""The process that trains a job: started fresh or as a child of a warm one, waited for, and told to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from ocrexp.engine.devices import process_count
from ocrexp.errors import OcrexpError
from ocrexp.processes import STOP_SIGNALS, leave_terminal, owned
from ocrexp.runs.fit import train_in
from ocrexp.runs.warm import start_warm

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONSOLE = "console.log"  # in the folder of a job that runs beside others: what it would show
_WORKER = Path(__file__).with_name("worker.py")


class JobProcess(Protocol):
    """A process that runs: `subprocess.Popen` or a child of the warm process."""

    def wait(self) -> int:
        """Its exit code, or minus the number of the signal that killed it."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal; nothing where it has ended."""


@dataclass(frozen=True)
class Training:
    """What the process of a job is to do.

    `command`: script and arguments. `variables`: what its environment has besides this process's. `in_parallel`: others
    run beside it, so that its output goes into a file of its own.
    """

    run_dir: Path
    config: DictConfig
    command: Sequence[str]
    resume: bool
    in_parallel: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


class Runner(Protocol):
    """Runs the process of a job."""

    def __call__(self, training: Training, /) -> tuple[int, int | None]:
        """Run it to its end; returns the exit code, and the signal that told the sweep to stop meanwhile."""


def run_here(training: Training) -> tuple[int, int | None]:
    """Run a job while this process waits; signals that come are passed on. See `Runner`."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if process_count(training.config.trainer.devices) > 1 and in_main_thread:  # it sets handlers of signals
        with _set(training.variables):
            try:
                code = train_in(training.run_dir, training.config, resume=training.resume)
            except OcrexpError as error:  # in status.json; the other jobs go on
                return error.exit_code, None
        return code, code - 128 if code > 128 else None
    return wait_for(start(training, {**os.environ, **training.variables}, Path.cwd()))


def start(training: Training, environment: Mapping[str, str], folder: Path) -> JobProcess:
    """Start the process of a job in a folder, in a session of its own: a child of the warm process where that fits."""
    if not training.in_parallel:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return _started(training, environment, folder, 1, 2)
    with (training.run_dir / CONSOLE).open("ab") as console:  # several progress bars on one screen help nobody
        return _started(training, environment, folder, console.fileno(), console.fileno())


def _started(training: Training, environment: Mapping[str, str], folder: Path, output: int, errors: int) -> JobProcess:
    script, *arguments = training.command
    if Path(script) == _WORKER and training.config.trainer.cpu_tuning:  # the warm process has been tuned
        child = start_warm(arguments, environment, folder, output, errors)
        if child is not None:
            return child
    # A launcher may run jobs in threads; the kernel would end a job with the thread that started it.
    in_main_thread = threading.current_thread() is threading.main_thread()
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=output,
        stderr=errors,
        start_new_session=True,
        env=owned(dict(environment)) if in_main_thread else dict(environment),
        cwd=folder,
    )


def wait_for(process: JobProcess) -> tuple[int, int | None]:
    """The exit code of a job's process, and the first signal that came meanwhile.

    Signals are passed on, so that the job saves and leaves; its session is its own, so that it gets each of them once.
    """
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)
        if number == signal.SIGHUP:
            leave_terminal()
        process.send_signal(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                before[number] = signal.signal(number, pass_on)
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code, received[0] if received else None


@contextlib.contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """Within this block, this process's environment has the variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
