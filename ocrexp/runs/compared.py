"""Runs as rows of one table: what they reached, what it cost, and the overrides that differ."""

from __future__ import annotations

import fnmatch
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ocrexp.errors import ConfigError, printable
from ocrexp.nearest import did_you_mean
from ocrexp.report.tables import Column
from ocrexp.runs.catalog import RunRecord

Row = dict[str, Any]
HIGHER_FIRST = ("best", "zero_shot", "best_step", "step", "images_per_second")  # the order of `sort`
_MEANS = ("zero_shot", "best_step", "val_loss", "step", "seconds", "images_per_second", "peak_memory_mb")
_CONDITION = re.compile(r"\s*([^\s=!<>]+)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class RunTable:
    """`rows` in order, each with `runs`, the records that it stands for; `keys` are the overrides that differ."""

    rows: list[Row]
    keys: list[str]


def make_table(
    records: Sequence[RunRecord],
    *,
    filters: Sequence[str] = (),
    sort: str = "best",
    group: Sequence[str] = (),
    limit: int | None = None,
) -> RunTable:
    """Rows of the runs.

    Args:
        records: of the runs.
        filters: conditions `NAME=VALUE` on columns and overrides, also != < <= > >=; `*` in a text matches anything.
            All of them must hold; a run without the value is dropped (except by !=).
        sort: column or override; the best first, of times and sizes the smallest. `-NAME` turns the order round. Rows
            without the value come last.
        group: overrides, such as `seed`, in which runs may differ to be one row: values are means then, and
            `deviation` is that of the metric.
        limit: number of rows.

    Raises ConfigError, in one line, for a name that no run has.
    """
    rows = [_row(record) for record in records]
    known = {name for row in rows for name in row if name != "runs"}
    for condition in filters:
        holds = _condition(condition, known)
        rows = [row for row in rows if holds(row)]
    for name in group:
        _require(name, {key for record in records for key in record.overrides} | {"seed"}, "group")
    keys = [key for key in _differing([run for row in rows for run in row["runs"]]) if key not in group]
    if group:
        rows = _grouped(rows, keys)
    _sort(rows, sort, known | {"deviation", "number"})
    return RunTable(rows[:limit], keys)


def columns_of(table: RunTable, main_columns: Sequence[str] | None = None) -> list[Column]:
    """The columns that have a value in one of the rows, or those that `main_columns` names and the overrides."""
    metrics = dict.fromkeys(row["metric"] for row in table.rows if row["metric"])
    shows: dict[str, tuple[str, Callable[[Any], str]]] = {
        "run": ("run", str),
        "number": ("runs", str),
        **{key: (key, str) for key in table.keys},
        "best": (" / ".join(metrics) or "best", "{:.4f}".format),
        "deviation": ("±", "{:.4f}".format),
        "difference": ("vs first", "{:+.4f}".format),
        "p": ("p", "{:.2g}".format),
        "zero_shot": ("before training", "{:.4f}".format),
        "val_loss": ("val loss", "{:.4g}".format),
        "state": ("state", str),
        "best_step": ("best step", "{:.0f}".format),
        "step": ("step", "{:.0f}".format),
        "seconds": ("time", _duration),
        "images_per_second": ("images/s", "{:.1f}".format),
        "parameters": ("parameters", lambda value: f"{value / 1e6:.2f} M"),
        "gmacs": ("GMACs", "{:.3g}".format),
        "peak_memory_mb": ("memory MB", "{:.0f}".format),
    }
    for name in main_columns or ():
        if name not in shows:
            raise ConfigError(f"columns: unknown column {printable(name)}{did_you_mean(name, shows)}")
    wanted = ["run", *table.keys, *main_columns] if main_columns else list(shows)
    if not main_columns and all(row["state"] == "done" for row in table.rows):
        wanted.remove("step")  # all have made all of their steps
    present = [name for name in shows if name in wanted and any(row.get(name) not in (None, "") for row in table.rows)]
    return [Column(name, *shows[name], left=name in ("run", "state")) for name in present]


def _duration(seconds: float) -> str:
    from ocrexp.engine.console import duration

    return duration(seconds)


def _row(record: RunRecord) -> Row:
    status = record.status
    values = {name: status.get(name) for name in ("zero_shot", "best_step", "val_loss", "step", "seconds")}
    return {
        **record.overrides,
        "run": record.name,
        "best": status.get("best_value"),
        "metric": status.get("best_metric") or "",
        "state": record.state,
        **values,
        "images_per_second": record.images_per_second,
        "parameters": status.get("parameters"),
        "gmacs": status.get("gmacs"),
        "peak_memory_mb": status.get("peak_memory_mb"),
        "runs": [record],
    }


def _differing(records: Sequence[RunRecord]) -> list[str]:
    """Keys whose value is not the same in all runs, `1e-3` and `0.001` being the same."""
    values: dict[str, set[Any]] = {}
    for record in records:
        for key, value in record.overrides.items():
            values.setdefault(key, set()).add(as_value(value))
    lacking = {key for record in records for key in values if key not in record.overrides}
    return [key for key, found in values.items() if len(found) > 1 or key in lacking]


def as_value(text: Any) -> Any:
    """A number where a text is one."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def _condition(text: str, known: set[str]) -> Callable[[Row], bool]:
    parsed = _CONDITION.fullmatch(text)
    if parsed is None:
        raise ConfigError(
            f"filter: expected NAME=VALUE, or != < <= > >= instead of =, got {printable(repr(text))}; "
            "write for example filter='best>0.8'"
        )
    name, sign, wanted = parsed.groups()
    _require(name, known, "filter")
    expected = as_value(wanted)

    def holds(row: Row) -> bool:
        value = as_value(row.get(name))
        if sign in ("=", "==", "!="):
            if isinstance(expected, float) and isinstance(value, float):
                same = value == expected
            else:
                same = row.get(name) is not None and fnmatch.fnmatchcase(str(row[name]), wanted)
            return same != (sign == "!=")
        if not isinstance(value, float) or not isinstance(expected, float):
            return False
        compared = {">": value > expected, ">=": value >= expected, "<": value < expected, "<=": value <= expected}
        return compared[sign]

    return holds


def _require(name: str, known: set[str], key: str) -> None:
    if name not in known:
        hint = did_you_mean(name, known) or f"; names: {', '.join(sorted(known))}"
        raise ConfigError(f"{key}: no run has {printable(name)}{hint}")


def _grouped(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["metric"], *(as_value(row.get(key)) for key in keys)), []).append(row)
    return [_mean_row(members) for members in groups.values()]


def _mean_row(members: list[Row]) -> Row:
    """One row for runs that are repeats of each other."""
    best = [row["best"] for row in members if row["best"] is not None]
    states = list(dict.fromkeys(row["state"] for row in members))
    counts = [f"{sum(row['state'] == state for row in members)} {state}" for state in states]
    merged = {name: _mean([row[name] for row in members if row[name] is not None]) for name in _MEANS}
    return {
        **members[0],
        **merged,
        "run": ", ".join(row["run"] for row in members),
        "number": len(members),
        "best": _mean(best),
        "deviation": statistics.stdev(best) if len(best) > 1 else None,
        "state": states[0] if len(states) == 1 else ", ".join(counts),
        "runs": [run for row in members for run in row["runs"]],
    }


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _sort(rows: list[Row], sort: str, known: set[str]) -> None:
    name = sort.removeprefix("-")
    _require(name, known, "sort")
    falls = (name in HIGHER_FIRST) != sort.startswith("-")

    def place(row: Row) -> tuple[int, float, str]:
        value = as_value(row.get(name))
        loss = row["val_loss"] if isinstance(row["val_loss"], float) else float("inf")
        if value is None or value != value:
            return 2, loss, ""
        if isinstance(value, float):
            return 0, -value if falls else value, ""
        return 1, 0.0, str(value)

    rows.sort(key=lambda row: row["val_loss"] if isinstance(row["val_loss"], int | float) else float("inf"))
    rows.sort(key=place)  # of equal ones the lower validation loss stays in front
