"""Processes that end with the one that started them, and signals that end a command in one line."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

PARENT = "OCREXP_PARENT"  # id of the process that starts this one: this one ends with it
OWNER = "OCREXP_OWNER"  # the command that a user started, as `host:pid:start`: everything below it ends with it
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_UNTIL_AGAIN = 0.1


class StoppedBySignal(KeyboardInterrupt):
    """A signal asked the command to end; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Within this block SIGINT, SIGTERM and SIGHUP raise StoppedBySignal, so that temporary files are cleaned up.

    Python ignores an exception in a finalizer or in a hook of fork(); the signal is sent again then. A signal that is
    ignored (as `nohup` has it) stays so. Outside the main thread the block does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    for number in map(int, STOP_SIGNALS):
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, _stop)
    ignored, sys.unraisablehook = sys.unraisablehook, _stop_again
    try:
        yield
    finally:
        sys.unraisablehook = ignored
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    if number == signal.SIGHUP:
        leave_terminal()
    raise StoppedBySignal(number)


def _stop_again(unraisable: sys.UnraisableHookArgs) -> None:
    if isinstance(stop := unraisable.exc_value, StoppedBySignal):
        timer = threading.Timer(_SECONDS_UNTIL_AGAIN, os.kill, (os.getpid(), stop.number))
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(unraisable)


def leave_terminal() -> None:
    """Send what is still printed nowhere, where output went to a terminal: it is closed, and writing to it fails."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(descriptor):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def end_with_parent(parent: int) -> None:
    """End this process with SIGKILL as soon as process `parent`, which has started it, is gone.

    For a child of the parent's main thread: on Linux the kernel sends the signal when the starting *thread* ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        _watch(lambda: os.getppid() == parent)


def begin_in_pool(parent: int) -> None:
    """What a process of a pool does first: it ends with `parent` (0: with nothing), which handles Ctrl-C for all.

    SIGTERM, which a pool sends to its processes, ends it silently.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if parent:
        end_with_parent(parent)


def end_with_command() -> None:
    """End this process with its parent and with the command that a user started, as the environment names them.

    The command can be the parent's parent: a launcher of ranks or of a sweep's jobs stands between. Both names are
    taken out of, or kept in, the environment so that they reach exactly the processes that they are for.
    """
    parent = os.environ.pop(PARENT, "")
    if parent.isdigit():
        end_with_parent(int(parent))
    owner = os.environ.get(OWNER, "")
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    pid = int(rest) if rest.isdigit() else 0
    if host == socket.gethostname() and pid != os.getpid() and _identity(pid) == owner:
        _watch(lambda: _identity(pid) == owner)


def owned(environment: dict[str, str]) -> dict[str, str]:
    """The environment for a child that calls `end_with_command`: it names this process as its parent."""
    return {**environment, PARENT: str(os.getpid())}


@contextlib.contextmanager
def owning() -> Iterator[None]:
    """Within this block, processes started below this one know that they belong to this command."""
    first = OWNER not in os.environ
    if first:
        os.environ[OWNER] = _identity(os.getpid()) or ""
    try:
        yield
    finally:
        if first:
            os.environ.pop(OWNER, None)


def _identity(pid: int) -> str | None:
    """`host:pid:start`, with the moment of its start: ids are used again. None if no such process runs."""
    if pid <= 0 or not process_runs(pid):
        return None
    try:
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        start = "0"
    return f"{socket.gethostname()}:{pid}:{start}"


def _watch(alive: Any) -> None:
    def look() -> None:
        while alive():
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, name="end-with-command", daemon=True).start()


def describe_signal(number: int, less_memory: str = "the loader's batch_size or num_workers") -> str:
    """`SIGKILL (often the out-of-memory killer: …)`: the name of a signal, and what sends it.

    Args:
        number: of the signal.
        less_memory: the keys of the command that lower its memory.
    """
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    why = {
        signal.SIGKILL: f"often the out-of-memory killer: see `dmesg`, lower {less_memory}",
        signal.SIGBUS: "often a full /dev/shm or a data file that became shorter",
        signal.SIGILL: "paddle was built for another CPU",
    }.get(number)  # type: ignore[call-overload]
    return f"{name} ({why})" if why else name


def process_runs(pid: int) -> bool:
    """Whether a process with this id runs on this machine; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):  # no /proc, or gone in this moment, which the next look will see
        return True
