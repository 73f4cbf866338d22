"""What a training shows: a progress bar in a terminal, plain lines elsewhere, `train.log` always."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrexp.errors import printable
from ocrexp.logs import LogFile

logger = logging.getLogger(__name__)

BAR = 20  # columns of the bar; half of them in a narrow terminal
ALWAYS = ("images/s", "eta")
FIRST = ("loss", "", "epoch", "lr", "data")  # then these, in this order
NARROW = 90

_PROGRESS = "ocrexp_progress"  # marks log records that a progress bar stands for on the screen


class Console:
    """Call `start`, then `progress` at each logging interval, and `stop` whatever happens."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._bar: Any = None
        self._task: Any = None
        self._file: LogFile | None = None
        self._bar_column: Any = None
        self._total = 0
        self._streams: list[tuple[Any, Any]] = []

    def start(self, step: int, total_steps: int) -> None:
        """Open the bar (in a terminal) and `train.log` (unless logging goes there already)."""
        self._open_log()
        if sys.stderr.isatty():
            self._open_bar(step, total_steps)

    def progress(self, line: str, fields: Mapping[str, str], step: int) -> None:
        """`line` for the log, `fields` for the bar."""
        logger.info("%s", line, extra={_PROGRESS: True})
        if self._bar is not None:
            from rich.markup import escape

            taken = self._bar_width() + 2 + 2 * len(str(self._total)) + 1
            shown = fitting(fields, self._bar.console.width - taken)
            text = "  ".join(
                f"[dim]{escape(printable(name))}[/] {escape(printable(value))}" for name, value in shown.items()
            )
            self._bar.update(self._task, completed=step, text=text)

    def stop(self) -> None:
        """Take the bar away and give the screen back."""
        if self._bar is not None:
            self._bar.stop()
            for handler, stream in self._streams:
                handler.setStream(stream)
                handler.removeFilter(_not_progress)
            self._bar = None
        if self._file is not None:
            logging.getLogger("ocrexp").removeHandler(self._file)
            self._file.close()
            self._file = None

    def _bar_width(self) -> int:
        """The bar's columns; the terminal may have been resized."""
        width: int = self._bar.console.width
        self._bar_column.bar_width = BAR if width >= NARROW else min(BAR // 2, max(width // 8, 1))
        return int(self._bar_column.bar_width)

    def _open_log(self) -> None:
        path = (self._run_dir / "train.log").resolve()
        handlers = [*logging.getLogger().handlers, *logging.getLogger("ocrexp").handlers]
        if any(isinstance(handler, LogFile) and handler.path.resolve() == path for handler in handlers):
            return
        self._file = LogFile(path)
        logging.getLogger("ocrexp").addHandler(self._file)
        if logging.getLogger("ocrexp").getEffectiveLevel() > logging.INFO:
            logging.getLogger("ocrexp").setLevel(logging.INFO)

    def _open_bar(self, step: int, total_steps: int) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        console = RichConsole(stderr=True)
        self._total = total_steps
        self._bar_column = BarColumn(BAR)
        self._bar = Progress(
            self._bar_column, MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console, refresh_per_second=4, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=total_steps, completed=step, text="first step …")
        self._bar.start()
        # Log lines written past rich would tear the bar: send them through the stream that rich has put in its place.
        for handler in [*logging.getLogger().handlers, *logging.getLogger("ocrexp").handlers]:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                self._streams.append((handler, handler.stream))
                handler.setStream(sys.stderr)
                handler.addFilter(_not_progress)


def fitting(fields: Mapping[str, str], width: int) -> dict[str, str]:
    """Those of the fields that fit into `width` columns, in their order, two spaces between them.

    Speed and the time that is left always stay; the others go from the least important one on, and the parts of the
    loss go first: of `0.51 (shrink 0.3 threshold 0.2)` the sum stays.
    """
    short = {name: value.partition(" (")[0] for name, value in fields.items()}
    kept = [name for name in ALWAYS if name in fields]
    for name in sorted((name for name in fields if name not in ALWAYS), key=_rank):
        if _width({one: short[one] for one in [*kept, name]}) <= width:
            kept.append(name)
    shown = {name: short[name] for name in fields if name in kept}
    for name in shown:
        if _width({**shown, name: fields[name]}) <= width:
            shown[name] = fields[name]
    return shown


def _rank(name: str) -> int:
    """Less important fields come later; a name that is not listed is that of the metric."""
    return FIRST.index(name) if name in FIRST else 1


def _width(fields: Mapping[str, str]) -> int:
    return sum(len(name) + 1 + len(value) for name, value in fields.items()) + 2 * (len(fields) - 1)


def _not_progress(record: logging.LogRecord) -> bool:
    return not getattr(record, _PROGRESS, False)


def duration(seconds: float) -> str:
    """`4:05` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
