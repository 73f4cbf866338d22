"""A worker process as the server sees it: start, a batch and its answers, end."""

from __future__ import annotations

import contextlib
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from ocrexp.environment import untouched, with_package
from ocrexp.errors import ConfigError, DeployError
from ocrexp.processes import describe_signal, owned
from ocrexp.serve.jobs import BatchDone, Cancel, Done, Job, Started, WorkerSettings

PATIENCE = 5.0  # seconds that a worker may read on after the last time limit of its batch, before it is ended
_START = 300.0  # seconds to load the models
_LESS_MEMORY = "workers, batch_images or max_pixels"
# Nothing of the current folder is imported: it may be a run folder of someone else.
_PROGRAM = (
    "import os, sys; sys.path[:] = filter(None, sys.path); from ocrexp.serve.worker import main; os._exit(main({}))"
)


class WorkerGone(Exception):
    """A worker process has ended, or was ended because it did not answer; the text is why."""


class WorkerProcess:
    """A process with its own models. `start`, `exchange` and `stop` block; `cancel` does not."""

    def __init__(self, settings: WorkerSettings) -> None:
        ours, theirs = multiprocessing.Pipe()
        environment = with_package(untouched())
        if threading.current_thread() is threading.main_thread():  # the kernel ends it with the thread that started it
            environment = owned(environment)
        self._connection = ours
        self._sending = threading.Lock()
        self._settings = settings
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment,
        )
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def start(self) -> Started:
        """Wait until the models are loaded. Raises DeployError or ConfigError with the worker's own line."""
        try:
            self._send(self._settings)
            if not self._connection.poll(_START):
                raise DeployError(
                    f"the models were not loaded within {_START:.0f} s; use a faster disk or fewer workers"
                )
            message = self._connection.recv()
        except (EOFError, OSError):
            raise DeployError(f"a worker process has ended while it loaded the models ({self._end()})") from None
        assert isinstance(message, Started)
        if message.problem:
            raise (ConfigError if message.exit_code == ConfigError.exit_code else DeployError)(message.problem)
        return message

    def exchange(self, jobs: Sequence[Job], until: float, deliver: Callable[[Done], None]) -> None:
        """Send a batch and deliver its answers.

        `until` is its last time limit, by `time.monotonic`. Raises WorkerGone; the process is ended then.
        """
        limit = until + PATIENCE
        # A worker that is stopped does not even take its batch, so a limit on the wait for its answers is not enough.
        late = threading.Timer(max(limit - time.monotonic(), 0), self._process.kill)
        late.daemon = True
        late.start()
        try:
            self._send(list(jobs))
            while True:
                message = self._connection.recv()
                if isinstance(message, BatchDone):
                    return
                assert isinstance(message, Done)
                deliver(message)
        except (EOFError, OSError):
            is_late, how = time.monotonic() >= limit, self._end()
            raise WorkerGone("it did not answer within the time limit" if is_late else how) from None
        finally:
            late.cancel()

    def cancel(self, number: int) -> None:
        """Tell the worker that nobody waits for a job.

        In a thread of its own: a worker that does not take its batch would block the caller.
        """

        def tell() -> None:
            with contextlib.suppress(OSError):  # it has ended, which `exchange` reports
                self._send(Cancel(number))

        threading.Thread(target=tell, name="ocrexp-serve-cancel", daemon=True).start()

    def stop(self) -> None:
        """End the process, which is not reading."""
        self._connection.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self._process.kill()

    def _send(self, message: object) -> None:
        with self._sending:
            self._connection.send(message)

    def _end(self) -> str:
        """How the process has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self._process.kill()
        code = self._process.wait()
        return describe_signal(-code, _LESS_MEMORY) if code < 0 else f"exit code {code}"
