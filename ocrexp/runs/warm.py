"""Jobs as children of one process that has imported paddle already: a job of a few steps is mostly its imports.

Only for paddle on a CPU and on Linux: a driver of GPUs does not survive a fork. `OCREXP_WARM_JOBS=0` starts a fresh
process for each job everywhere.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from ocrexp.config.authorship import COMPOSED
from ocrexp.processes import OWNER, PARENT, owned
from ocrexp.runs.plan import QUIET
from ocrexp.runs.search.trial import VARIABLE as TRIAL
from ocrexp.runs.warm_server import MOST

SWITCH = "OCREXP_WARM_JOBS"
# What may differ between the environment in which paddle was imported and that of a job; no library reads it before.
_FREE = frozenset({COMPOSED, TRIAL, QUIET, PARENT, OWNER, "CUDA_VISIBLE_DEVICES", "PWD", "OLDPWD", "_"})


class WarmError(Exception):
    """No child could be made; a fresh process does the same."""


class WarmChild:
    """A child of the warm process, with the methods of `subprocess.Popen` that a job needs."""

    def __init__(self, waiting: socket.socket) -> None:
        self._waiting = waiting
        message, handles, _, _ = socket.recv_fds(waiting, 64, 1)
        if not message or not handles:
            raise WarmError
        self.pid = int(message)
        self._handle = handles[0]
        self._lock = threading.Lock()
        self._code: int | None = None

    def wait(self) -> int:
        """Its exit code, or minus the number of the signal that killed it. To be called once."""
        message = self._waiting.recv(64)
        with self._lock:
            # Without an answer the warm process has been killed, and its children with it.
            self._code = int(message) if message else -int(signal.SIGKILL)
            os.close(self._handle)
            self._waiting.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal to the child; nothing where it has ended."""
        with self._lock, suppress(ProcessLookupError):
            if self._code is None:
                signal.pidfd_send_signal(self._handle, number)


class WarmProcess:
    """Starts the warm process for an environment. It ends with `close`, or with this process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = _compared(environment)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        in_main_thread = threading.current_thread() is threading.main_thread()  # the kernel would end it with a thread
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("warm_server.py")), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=owned(dict(environment)) if in_main_thread else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on to the jobs
            )

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether what was imported there is what a process with this environment would import."""
        return _compared(environment) == self._environment

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, output: int, errors: int
    ) -> WarmChild:
        """A child that runs the worker with these arguments; `output` and `errors` are descriptors.

        Raises WarmError.
        """
        content = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        message = json.dumps(content).encode()
        if len(message) > MOST:
            raise WarmError
        waiting, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._control, [message], [output, errors, theirs.fileno()])
            return WarmChild(waiting)
        except (OSError, WarmError) as error:
            waiting.close()
            raise WarmError from error

    def close(self) -> None:
        """End the warm process; children that still run end with it."""
        self._control.close()
        self._process.wait()


_lock = threading.Lock()
_warm: WarmProcess | None = None
_owner = 0  # the process that has started it: a forked one has the variable, and not the right to use it
_given_up = False


def start_warm(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, output: int, errors: int
) -> WarmChild | None:
    """A job as a child of this process's warm process; None where it takes a fresh process."""
    global _warm, _owner, _given_up
    if not possible(environment):
        return None
    with _lock:
        if _given_up:
            return None
        if _warm is None or _owner != os.getpid():
            _warm, _owner = WarmProcess(environment), os.getpid()
        warm = _warm
    if not warm.fits(environment):
        return None
    try:
        return warm.start(arguments, environment, folder, output, errors)
    except WarmError:
        with _lock:
            _given_up = True
        return None


def end_warm() -> None:
    """End this process's warm process, where there is one."""
    global _warm
    with _lock:
        if _warm is not None and _owner == os.getpid():
            _warm.close()
        _warm = None


def possible(environment: Mapping[str, str]) -> bool:
    """Whether jobs can be forked here: Linux, a paddle without GPUs, not switched off."""
    if environment.get(SWITCH, "1").strip().lower() in ("0", "false", "off", "no"):
        return False
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    with suppress(metadata.PackageNotFoundError):
        metadata.distribution("paddlepaddle-gpu")
        return False
    return True


def _compared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _FREE}
