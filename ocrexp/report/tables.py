"""A table as text: CSV and JSON with values as they are, Markdown and LaTeX as people read them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ocrexp.errors import printable
from ocrexp.files import as_json

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """`name` is the key of a row, `header` what people see; `show` makes a text of a value that is not None."""

    name: str
    header: str
    show: Callable[[Any], str] = str
    left: bool = False  # aligned


def shown(column: Column, row: Row) -> str:
    """A cell for people; a dash where there is no value."""
    value = row.get(column.name)
    return "–" if value is None or value == "" else printable(column.show(value))


def as_csv(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Headers are the names of the columns; a missing value is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([printable(column.name) for column in columns])
    for row in rows:
        writer.writerow([_plain(row.get(column.name)) for column in columns])
    return text.getvalue()


def rows_as_json(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A list of objects; a number that is not finite is null, as JSON has none."""
    return as_json([{column.name: _finite(row.get(column.name)) for column in columns} for row in rows])


def as_markdown(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A table of GitHub's Markdown, padded so that it can be read as it is."""
    cells = [[column.header for column in columns], *([shown(c, row) for c in columns] for row in rows)]
    cells = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in line] for line in cells]
    widths = [max(3, *(len(line[index]) for line in cells)) for index in range(len(columns))]
    rule = [
        "-" * width if column.left else "-" * (width - 1) + ":" for column, width in zip(columns, widths, strict=True)
    ]
    lines = [_padded(columns, line, widths) for line in [cells[0], rule, *cells[1:]]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "–": "--", "±": r"$\pm$",
}  # fmt: skip


def as_latex(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A tabular with the rules of booktabs."""
    lines = [[column.header for column in columns], *([shown(c, row) for c in columns] for row in rows)]
    head, *body = (" & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in line) for line in lines)
    kinds = "".join("l" if column.left else "r" for column in columns)
    rows_text = "".join(f"{line} \\\\\n" for line in body)
    return (
        f"% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{kinds}}}\n\\toprule\n{head} \\\\\n\\midrule\n{rows_text}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def _padded(columns: Sequence[Column], line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column.left else cell.rjust(width)
        for column, cell, width in zip(columns, line, widths, strict=True)
    ]


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else value


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
