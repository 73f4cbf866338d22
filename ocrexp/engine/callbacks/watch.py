"""One line at the end of a run about what its curves show; see `ocrexp.report.watch`."""

from __future__ import annotations

import logging

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.engine.status import RUNNING, read_status, write_status

log = logging.getLogger(__name__)


class CurveWatch(Callback):
    """Reads `filename` of the csv logger when training is over, prints the line, and adds it to `status.json` as
    `notes`, which `compare` and `report` show; a healthy run has no line."""

    def __init__(self, filename: str = "metrics.csv") -> None:
        self.filename = filename

    def on_fit_end(self, run: RunView, state: str) -> None:  # noqa: ARG002 - a failed run shows why
        from ocrexp.report.curves import read_series
        from ocrexp.report.watch import watch

        try:
            found = watch(read_series(run.run_dir / self.filename), run.main_metric)
        except (OSError, ValueError) as error:  # a line is not worth a run
            log.warning("%s could not be read: %s", run.run_dir / self.filename, error)
            return
        if found is not None:
            log.warning("the curves show %s", found.line)
        before = read_status(run.run_dir) or {}
        if found is not None or before.get("notes"):  # of an earlier part of a run that was resumed
            notes = [] if found is None else [found.line]
            write_status(run.run_dir, state=before.get("state", RUNNING), error=before.get("error"), notes=notes)
