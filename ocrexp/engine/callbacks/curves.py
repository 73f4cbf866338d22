"""Loss, learning rate and metric curves in `plots/`, and `results.png`, drawn from metrics.csv."""

from __future__ import annotations

import logging
from pathlib import Path

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.results import EvalResult

log = logging.getLogger(__name__)


class Curves(Callback):
    """Draws the curves after evaluations and at the end of the run, from `filename` of the csv logger.

    A run without that file (logger=none) has no curves; this is reported once, at the end.
    """

    def __init__(self, filename: str = "metrics.csv") -> None:
        self.filename = filename
        self._drawn: tuple[int, int] | None = None  # the state of the file at the last drawing, which takes a while

    def on_evaluation_end(self, run: RunView, result: EvalResult, is_best: bool) -> None:  # noqa: ARG002
        self._draw(run)

    def on_fit_end(self, run: RunView, state: str) -> None:  # noqa: ARG002 (curves of a failed run are wanted most)
        if not self._draw(run):
            log.info("no curves: %s has no values; add logger=csv, which writes it", run.run_dir / self.filename)

    def _draw(self, run: RunView) -> bool:
        try:
            from ocrexp.report.curves import plot_results, plot_run
            from ocrexp.report.title import run_title

            values, title = run.run_dir / self.filename, run_title(run.run_dir)
            if (state := _state(values)) is not None and state == self._drawn:
                return True
            plot_results(values, run.run_dir / "results.png", title)
            plots = plot_run(values, run.run_dir / "plots", title)
            self._drawn = state if plots else None
            return bool(plots)
        except (OSError, ValueError, ImportError) as error:  # a plot is not worth a run
            log.warning("the curves could not be drawn: %s", error)
            return True


def _state(path: Path) -> tuple[int, int] | None:
    """Time and size of a file; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size
