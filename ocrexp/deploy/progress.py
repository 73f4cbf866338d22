"""A progress bar on standard error, in a terminal only, and lines that do not break it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from ocrexp.errors import printable


class Progress:
    """Shows a bar of `total` images during the block; without a terminal, only `say` prints."""

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("[dim]{task.fields[note]}"), console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(self._what, total=self._total, note="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advance(self, note: str = "") -> None:
        """Count one finished image; `note` is shown after the bar."""
        if self._bar is not None:
            from rich.markup import escape

            self._bar.update(self._task, advance=1, note=escape(printable(note)))

    def say(self, line: str) -> None:
        """Print a line above the bar; control characters in it are shown as escapes."""
        line = printable(line)
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)
