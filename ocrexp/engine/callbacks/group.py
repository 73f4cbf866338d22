"""The callbacks of a run as one. One that cannot write is reported once; training never stops for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ocrexp.engine import distributed
from ocrexp.engine.callbacks.base import Callback, RunView

logger = logging.getLogger(__name__)


class CallbackGroup:
    """Passes each moment on to the callbacks, by name, in order, on rank 0."""

    def __init__(self, callbacks: Mapping[str, Callback]) -> None:
        self._callbacks = dict(callbacks)
        self._failed: set[str] = set()

    def call(self, moment: str, run: RunView, *values: Any) -> None:
        """Call the method `moment` of each callback."""
        if not distributed.is_main():
            return
        for name, callback in self._callbacks.items():
            try:
                getattr(callback, moment)(run, *values)
            except OSError as error:  # a full disk: what a callback draws is not worth a run
                if name not in self._failed:
                    logger.warning("callback %s: %s; training continues", name, error)
                self._failed.add(name)

    def end(self, run: RunView, state: str) -> None:
        """The run is over: done, failed or interrupted."""
        if not distributed.is_main():
            return
        for name, callback in self._callbacks.items():
            try:
                callback.on_fit_end(run, state)
            except OSError as error:
                logger.warning("callback %s: %s", name, error)
