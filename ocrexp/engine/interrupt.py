"""Ctrl-C and SIGTERM: a request to stop after the present step, not a crash."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
    """Within this block the first SIGINT or SIGTERM is only noted in `received`; the second acts as usual.

    `doing` tells the user what is done now. Signals can be caught in the main thread only; elsewhere the block does
    nothing.
    """

    def __init__(self, doing: str = "finishing the step and saving") -> None:
        self._doing = doing
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
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
        # print, not logging: a handler may run in the middle of a log call that holds its lock
        print(f"ocrexp: {name}: {self._doing}; once more to stop at once", file=sys.stderr, flush=True)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
