"""What a training shows: a progress bar in a terminal, plain lines elsewhere, `train.log` always."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrexp.logs import LogFile

logger = logging.getLogger(__name__)

_PROGRESS = "ocrexp_progress"  # marks log records that a progress bar stands for on the screen


class Console:
    """Call `start`, then `progress` at each logging interval, and `stop` whatever happens."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._bar: Any = None
        self._task: Any = None
        self._file: LogFile | None = None
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
            text = "  ".join(f"[dim]{name}[/] {value}" for name, value in fields.items())
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

        self._bar = Progress(
            BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[text]}"),
            console=RichConsole(stderr=True), refresh_per_second=4, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=total_steps, completed=step, text="first step …")
        self._bar.start()
        # Log lines written past rich would tear the bar: send them through the stream that rich has put in its place.
        for handler in [*logging.getLogger().handlers, *logging.getLogger("ocrexp").handlers]:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                self._streams.append((handler, handler.stream))
                handler.setStream(sys.stderr)
                handler.addFilter(_not_progress)


def _not_progress(record: logging.LogRecord) -> bool:
    return not getattr(record, _PROGRESS, False)


def duration(seconds: float) -> str:
    """`4:05` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
