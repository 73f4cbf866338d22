"""Calls of a slow destination, made one after the other on a thread of their own, so that training does not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Background:
    """Makes calls in the order in which they are given.

    The first call that fails ends the work: later ones are dropped, and its exception is raised by the next `do` or by
    `close`, once.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._raised = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def do(self, call: Callable[[], object]) -> None:
        """Make a call soon; raises what an earlier one has raised."""
        self._raise()
        self._calls.put(call)

    def close(self) -> None:
        """Wait until all calls are made; raises what one of them has raised."""
        self._calls.put(None)
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._error is None:
                try:
                    call()
                except Exception as error:  # of any client; the group reports it
                    self._error = error
