"""Ctrl-C, SIGTERM and SIGHUP (a closed terminal): a request to stop after the present step, not a crash."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from ocrexp.processes import STOP_SIGNALS, leave_terminal


class StopSignals:
    """Within this block the first SIGINT, SIGTERM or SIGHUP is only noted in `received`; the second acts as usual.

    `doing` describes to the user what is done now. Signals can be caught in the main thread only; elsewhere the block
    does nothing. A signal that is ignored (as `nohup` has it) stays so.
    """

    def __init__(self, doing: str = "finishing the step and saving") -> None:
        self._doing = doing
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.received = number
        self._restore()
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            leave_terminal()
        # print, not logging: a handler may run in the middle of a log call that holds its lock
        with contextlib.suppress(OSError):  # nobody can read it
            print(f"ocrexp: {name}: {self._doing}; press again to stop immediately", file=sys.stderr, flush=True)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
