"""A table of a sweep's jobs that is renewed while they run in parallel, on a terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ocrexp.engine.console import duration
from ocrexp.engine.status import FINISHED, RUNNING
from ocrexp.errors import printable
from ocrexp.runs.plan import QUIET
from ocrexp.runs.state import NOT_RUN, read_state
from ocrexp.runs.sweep_table import read_sweep, swept

SECONDS = 1.0  # between two looks at the folders


class LiveTable:
    """Shows the jobs in a sweep folder until `stop()`.

    Args:
        folder: of the sweep.
        total: number of its jobs; None: not known.
        console: where it is shown.
    """

    def __init__(self, folder: Path, total: int | None, console: Console | None = None) -> None:
        self._folder = folder
        self._total = total
        self._console = console or Console()
        self._over = threading.Event()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._thread = threading.Thread(target=self._run, name="live table", daemon=True)

    def start(self) -> None:
        """Show the table; jobs that are started from here on print nothing."""
        os.environ[QUIET] = "1"
        self._thread.start()

    def stop(self) -> None:
        """Remove the table from the screen."""
        os.environ.pop(QUIET, None)
        self._over.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with self._live:
            while not self._over.wait(SECONDS):
                self._live.update(self.table(), refresh=True)

    def table(self) -> Table:
        """The jobs as they are now: running ones first, then finished ones, best first; as many as fit the screen."""
        rows = read_sweep(self._folder)
        totals = {row["job"]: read_state(Path(row["folder"])).values.get("total_steps") for row in rows}
        rows.sort(key=lambda row: row["state"] != RUNNING)
        shown = rows[: max(3, self._console.size.height - 8)]
        table = Table(title=Text(f"sweep {printable(str(self._folder))}"), title_justify="left")
        keys = swept(rows)
        for name in ("job", *keys, "state", "step", "best", "time left"):
            table.add_column(Text(printable(name)), justify="left" if name in ("job", "state") else "right")
        for row in shown:
            total = totals[row["job"]]
            step = "–" if row["step"] is None else f"{row['step']}" + (f"/{total}" if total else "")
            best = "–" if row["best"] is None else f"{row['best']:.4f}"
            left = seconds_left(row, total)
            cells = [str(row["job"]), *(str(row.get(key, "–")) for key in keys), str(row["state"]), step, best]
            table.add_row(*(Text(printable(cell)) for cell in [*cells, "–" if left is None else duration(left)]))
        hidden = len(rows) - len(shown)
        table.caption = Text(summary(rows, self._total) + (f"; {hidden} jobs are not shown" if hidden else ""))
        return table


def seconds_left(row: Mapping[str, Any], total: int | None) -> float | None:
    """How long a running job still takes at its present speed; None where that is not known."""
    step, seconds = row["step"], row["seconds"]
    if row["state"] != RUNNING or not step or not total or seconds is None:
        return None
    return max(0.0, (total - step) * float(seconds) / step)


def summary(rows: Sequence[Mapping[str, Any]], total: int | None) -> str:
    """`3 of 12 jobs finished, 2 running, about 4:05 left`."""
    ended = [row for row in rows if row["state"] in FINISHED]
    running = sum(row["state"] == RUNNING for row in rows)
    other = len(rows) - len(ended) - running - sum(row["state"] == NOT_RUN for row in rows)
    left = time_left(rows, total or len(rows), running)
    return (
        f"{len(ended)} of {total or len(rows)} jobs finished, {running} running"
        + (f", {other} failed or interrupted" if other else "")
        + (f", about {duration(left)} left" if left else "")
    )


def time_left(rows: Sequence[Mapping[str, Any]], total: int, parallel: int) -> float | None:
    """How long the rest of a sweep takes if its jobs take as long as the finished ones; None before there is one."""
    seconds = [float(row["seconds"]) for row in rows if row["state"] in FINISHED and row["seconds"] is not None]
    if not seconds:
        return None
    waiting = total - len(seconds)
    return waiting * sum(seconds) / len(seconds) / max(1, parallel)


_shown: list[LiveTable] = []


def start(folder: Path, total: int | None) -> None:
    """Show the table of a sweep whose jobs run in parallel, where the output is a terminal; else nothing."""
    if sys.stdout.isatty():
        _shown.append(LiveTable(folder, total))
        _shown[-1].start()


def stop() -> None:
    """Remove the table that `start` shows. Nothing where there is none."""
    while _shown:
        _shown.pop().stop()
