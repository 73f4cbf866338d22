"""A progress bar on the error stream, in a terminal only, and lines that do not tear it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from ocrexp.errors import printable


class Progress:
    """A bar of `total` images while the block lasts; where there is no terminal, only `say` shows anything."""

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
        """One image is done; `note` stands behind the bar."""
        if self._bar is not None:
            from rich.markup import escape

            self._bar.update(self._task, advance=1, note=escape(printable(note)))

    def say(self, line: str) -> None:
        """A line of its own, above the bar; control codes in it are shown as escapes."""
        line = printable(line)
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)
