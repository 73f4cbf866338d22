"""Several loggers as one. A logger that fails is disabled with one line; training never stops for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ocrexp.loggers.base import BaseLogger, Logger, RgbImage, RunInfo, SampleRow, one_line

log = logging.getLogger(__name__)

FINISH_SECONDS = 120.0


class LoggerGroup:
    """Passes every call on to each logger, by name, in order.

    The first exception of a logger is reported in one line and the logger is not called again (but asked to finish).
    A logger that has not finished after `finish_seconds` is left behind: the run's own files are written by then.

    The state of the group is one dict a logger, so that a resumed run may add or drop loggers.
    """

    def __init__(self, loggers: Mapping[str, Logger], finish_seconds: float = FINISH_SECONDS) -> None:
        self._loggers = dict(loggers)
        self._failed: set[str] = set()
        self._started: set[str] = set()
        self._states: dict[str, dict[str, Any]] = {}
        self._finish_seconds = finish_seconds

    @property
    def active(self) -> list[str]:
        """Names of the loggers that work."""
        return [name for name in self._loggers if name not in self._failed]

    def start(self, run: RunInfo) -> None:
        earlier = run.state or {}
        self._states = {name: state for name, state in earlier.items() if isinstance(state, dict)}
        for name, logger in self._loggers.items():
            own = replace(run, state=self._states.get(name))
            if self._call(name, "start", partial(logger.start, own)):
                self._started.add(name)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self._each("log_metrics", lambda logger: logger.log_metrics(values, step))

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        self._each("log_images", lambda logger: logger.log_images(name, images, step, captions))

    @property
    def wants_samples(self) -> bool:
        """Whether a logger shows tables of samples."""
        found = [self._loggers[name] for name in self.active]
        return any(isinstance(logger, BaseLogger) and logger.wants_samples for logger in found)

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None:
        self._each("log_samples", lambda logger: logger.log_samples(name, rows, step))

    def log_summary(self, values: dict[str, float]) -> None:
        self._each("log_summary", lambda logger: logger.log_summary(values))

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        self._each("log_artifact", lambda logger: logger.log_artifact(path, name, kind))

    def finish(self, state: str) -> None:
        """Finishes every logger that was started, also those that failed later; may be called more than once."""
        for name in [name for name in self._loggers if name in self._started]:
            self._started.discard(name)
            self._finish(name, state)

    def state_dict(self) -> dict[str, Any]:
        """State of each logger by name; a failed one keeps the last state that is known of it."""
        states = dict(self._states)
        for name in self.active:
            self._call(name, "state_dict", partial(self._keep_state, name, states))
        self._states = states
        return dict(states)

    def _keep_state(self, name: str, states: dict[str, Any]) -> None:
        states[name] = self._loggers[name].state_dict()

    def _each(self, what: str, call: Callable[[Logger], None]) -> None:
        for name in self.active:
            self._call(name, what, partial(call, self._loggers[name]))

    def _call(self, name: str, what: str, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:  # whatever a third party's client raises must not stop the training
            self._failed.add(name)
            log.warning(
                "logger %s failed in %s and is disabled for the rest of this run: %s", name, what, one_line(error)
            )
            log.debug("logger %s failed", name, exc_info=error)
            return False
        return True

    def _finish(self, name: str, state: str) -> None:
        errors: list[Exception] = []

        def close() -> None:
            try:
                self._loggers[name].finish(state)
            except Exception as error:  # see _call
                errors.append(error)

        # A daemon thread: a client that waits for a dead network may not keep the process from ending.
        thread = threading.Thread(target=close, name=f"finish-{name}", daemon=True)
        thread.start()
        thread.join(self._finish_seconds)
        if thread.is_alive():
            log.warning(
                "logger %s has not finished after %.0f s; the run does not wait for it", name, self._finish_seconds
            )
        elif errors:
            log.warning("logger %s failed in finish: %s", name, one_line(errors[0]))
