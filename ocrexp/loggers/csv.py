"""metrics.csv: one row a logged step, readable while the run goes on and after a kill."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from ocrexp.errors import printable
from ocrexp.files import read_file, write_bytes
from ocrexp.loggers.base import BaseLogger, RunInfo

log = logging.getLogger(__name__)

STEP = "step"
_STEP_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
Row = dict[str, str]  # column → value as written


class CSVLogger(BaseLogger):
    """Writes `run_dir/filename` with the columns `step`, then every value's name in the order of appearance.

    Values logged at the same step share one row (such as training and evaluation). A row is on disk after each call; a
    new column rewrites the file through a temporary one, so that a reader never sees half of it. A resumed run cuts
    the rows after its `resume_step`, and any step that goes back cuts those from there on: these steps are made, and
    written, once more. Lines that a kill has cut short are dropped. Rows that a full disk does not take are kept and
    written when it does.
    """

    def __init__(self, filename: str = "metrics.csv") -> None:
        self.filename = filename
        self._path: Path | None = None
        self._columns = [STEP]
        self._last_row: Row | None = None
        self._waiting: list[tuple[dict[str, float], int]] = []  # what a full disk did not take
        self._damaged = False
        self._told = False
        self._last_row_start = 0  # byte offset, to write the last row again when more values of its step come

    def start(self, run: RunInfo) -> None:
        self._path = run.run_dir / self.filename
        self._columns = [STEP]
        rows: list[Row] = []
        if run.resumed and self._path.exists():
            self._columns, rows = read_rows(self._path)
        if run.resume_step is not None:
            rows = [row for row in rows if int(row[STEP]) <= run.resume_step]
        self._write_all(rows)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._path is None:
            raise RuntimeError("CSVLogger.log_metrics before start")
        self._waiting.append((values, step))
        try:
            if self._damaged:  # a row may have been cut; what is whole is read back
                _, rows = read_rows(self._path) if self._path.exists() else ([], [])
                self._write_all(rows)
                self._damaged = False
            while self._waiting:
                self._log(*self._waiting[0])
                del self._waiting[0]
        except OSError as error:
            if not self._told:
                why = error.strerror or error
                log.warning("%s cannot be written (%s); its rows are kept until it is writable", self._path, why)
            self._damaged = self._told = True

    def finish(self, state: str) -> None:  # noqa: ARG002 - the same however the run ended
        if self._waiting:
            log.warning(
                "%s: the last %d rows are missing, because they could not be written", self._path, len(self._waiting)
            )

    def _log(self, values: dict[str, float], step: int) -> None:
        assert self._path is not None
        values = {printable(name): value for name, value in values.items()}  # a terminal shows the file
        row = {STEP: str(step), **{name: format_value(value) for name, value in values.items()}}
        last_step = -1 if self._last_row is None else int(self._last_row[STEP])
        new_columns = [name for name in values if name not in self._columns]
        if new_columns or step < last_step:
            rows = [earlier for earlier in read_rows(self._path)[1] if int(earlier[STEP]) <= step]
            if rows and step <= last_step and rows[-1][STEP] == row[STEP]:
                row = {**rows.pop(), **row}
            self._columns.extend(new_columns)
            self._write_all([*rows, row])
            return
        with self._path.open("r+b") as file:
            if step == last_step:
                row = {**(self._last_row or {}), **row}
                file.seek(self._last_row_start)
            else:
                self._last_row_start = file.seek(0, os.SEEK_END)
            file.write(self._lines([row]))
            file.truncate()
        self._last_row = row

    def _write_all(self, rows: list[Row]) -> None:
        assert self._path is not None
        head = self._lines([{name: name for name in self._columns}, *rows[:-1]])
        write_bytes(self._path, head + self._lines(rows[-1:]), sync=True)
        self._last_row = rows[-1] if rows else None
        self._last_row_start = len(head)

    def _lines(self, rows: list[Row]) -> bytes:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, restval="", lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and rows of a metrics.csv, without lines that a kill has cut short or a disk has damaged; values as
    written."""
    lines = read_file(path, None).decode("utf-8-sig", "replace").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    reader = csv.DictReader(line for line in lines if "\0" not in line and len(line) < csv.field_size_limit())
    columns: list[str] = []
    rows: list[Row] = []
    with suppress(csv.Error):  # a quote that is never closed: the rows in front of it count
        columns = list(reader.fieldnames or [])
        if columns[:1] != [STEP]:
            return [STEP], []
        for row in reader:
            if _STEP_NUMBER.fullmatch(row[STEP]) and None not in row and None not in row.values():
                rows.append({name: value for name, value in row.items() if value != "" or name == STEP})
    return columns or [STEP], rows


def format_value(value: float) -> str:
    """Short, and exact enough to be read back: nine digits hold a float32."""
    return f"{float(value):.9g}"
