"""A sweep's outcome as a table, best first, on the screen and as `sweep.csv`, and as a plot for each swept key."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ocrexp import files
from ocrexp.config.frozen import read_job
from ocrexp.engine.status import DONE
from ocrexp.errors import printable
from ocrexp.runs.front import COLUMN_OF, cost, pareto_front
from ocrexp.runs.plan import SweepPlan
from ocrexp.runs.state import read_state

PARETO = "pareto_front"
COLUMNS = (
    "best", "zero_shot", "val_loss", "state", "step", "seconds", "parameters", "gmacs", "peak_memory_mb", "metric",
    "folder", "error", PARETO,
)  # fmt: skip
ONLY_IN_FILE = ("parameters", "gmacs", "peak_memory_mb", "metric", "folder", "error")  # unless they are searched for
WHERE_KNOWN = ("zero_shot", PARETO)  # columns that are shown only where a job has a value
HEADERS = {
    "val_loss": "val loss", "zero_shot": "before training", "seconds": "time", "peak_memory_mb": "memory (MB)",
    PARETO: "Pareto front",
}  # fmt: skip
JOB = Path(".hydra") / "job.json"


def finish_sweep(folder: Path) -> list[dict[str, Any]]:
    """Read the job folders, write `sweep.csv` and `sweep.png`, print the table; returns the rows, best first."""
    rows = read_sweep(folder)
    if not rows:
        return rows
    write_csv(folder / "sweep.csv", rows)
    plot = _plot(folder, rows)
    print_table(folder, rows, plot)
    return rows


def read_sweep(folder: Path) -> list[dict[str, Any]]:
    """One row for each job folder, at any depth: the overrides that differ between jobs, and the outcome.

    The best is first, by the objective of the sweep (see `SweepPlan`); of equal ones, that with the lower validation
    loss. With several objectives those of the Pareto front come first, and `pareto_front` is yes or no.

    `best` is the best value of the metric that `metric` names, `zero_shot` its value before the first step (a column
    only where a job has one), `val_loss` that of the last evaluation.
    """
    jobs = []
    for run_dir in job_folders(folder):
        state = read_state(run_dir)
        jobs.append((run_dir, read_job(run_dir), {**state.values, "state": state.state}))
    shared = set.intersection(*(set(job.overrides) for _, job, _ in jobs)) if len(jobs) > 1 else set()
    rows: list[tuple[dict[str, Any], int]] = []
    for run_dir, job, status in jobs:
        outcome = {
            "best": status.get("best_value"),
            "zero_shot": status.get("zero_shot"),
            "val_loss": status.get("val_loss"),
            "state": status.get("state"),
            "step": status.get("step"),
            "seconds": status.get("seconds"),
            "parameters": status.get("parameters"),
            "gmacs": status.get("gmacs"),
            "peak_memory_mb": status.get("peak_memory_mb"),
            "metric": status.get("best_metric") or "",
            "folder": str(run_dir),
            "error": status.get("error") or "",
        }
        row: dict[str, Any] = {"job": run_dir.relative_to(folder).as_posix(), **outcome}
        for item in job.overrides:
            if item not in shared:
                key, _, value = item.partition("=")
                row[_column(key.lstrip("+"))] = value
        rows.append((row, job.number or 0))
    objectives = SweepPlan.read(folder).objectives
    if len(objectives) > 1:
        done = [row for row, _ in rows if row["state"] == DONE]
        best = [row["job"] for row, on_front in zip(done, pareto_front(done, objectives), strict=True) if on_front]
        for row, _ in rows:
            row[PARETO] = "yes" if row["job"] in best else "no"
    for name in WHERE_KNOWN:
        if all(row.get(name) is None for row, _ in rows):
            for row, _ in rows:
                row.pop(name, None)
    rows.sort(key=lambda entry: (_rank(entry[0], objectives[0]), entry[1]))
    return [row for row, _ in rows]


def _rank(row: Mapping[str, Any], objective: str) -> tuple[bool, float, float]:
    """The Pareto front first, then by the objective, jobs without it last; equal ones by their validation loss."""
    return row.get(PARETO) == "no", cost(row, objective), cost(row, "val_loss")


def job_folders(folder: Path) -> Iterator[Path]:
    """Folders of jobs below `folder`, in order of name; `hydra.sweep.subdir` may nest them."""
    for parent, children, _ in os.walk(folder):
        children.sort()
        if Path(parent) != folder and (Path(parent) / JOB).is_file():
            children.clear()  # a run folder holds no other
            yield Path(parent)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows; a job that lacks a column leaves it empty."""
    text = io.StringIO()
    # People look at it in a terminal: keys, values and errors hold no control codes.
    names = {name: printable(name) for name in ("job", *swept(rows), *_columns(rows))}
    writer = csv.DictWriter(text, fieldnames=list(names.values()), restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {names[name]: printable(value) if isinstance(value, str) else value for name, value in row.items()}
        )
    files.write_text(path, text.getvalue())


def swept(rows: list[dict[str, Any]]) -> list[str]:
    """The keys that differ between the jobs, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row if name not in COLUMNS and name != "job"))


def metric_name(rows: list[dict[str, Any]]) -> str:
    """The name of the metric that the jobs report."""
    return " / ".join(dict.fromkeys(row["metric"] for row in rows if row["metric"])) or "best"


def print_table(folder: Path, rows: list[dict[str, Any]], plot: Path | None = None) -> None:
    """The table on the screen; below it the errors in full, the best job, and the files."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    # Everything is Text: rich would read a value such as [a.txt] as markup and drop it.
    table = Table(title=Text(f"sweep {printable(str(folder))}"), title_justify="left")
    keys = swept(rows)
    objectives = SweepPlan.read(folder).objectives
    hidden = {*ONLY_IN_FILE} - {COLUMN_OF.get(name, name) for name in objectives}
    fields = ["job", *keys, *(name for name in _columns(rows) if name not in hidden)]
    for name in fields:
        header = metric_name(rows) if name == "best" else HEADERS.get(name, name)
        table.add_column(
            Text(printable(header)), justify="left" if name in ("job", "state") else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(_shown(name, row.get(name))) for name in fields))
    console.print(table)
    lines = [f"job {row['job']}: {row['error']}" for row in rows if row["error"]]
    best = rows[0]
    if best["best"] is not None:
        values = ", ".join(f"{key}={best[key]}" for key in keys if key in best)
        what = f"job {best['job']}" + (f" ({values})" if values else "")
        lines.append(f"best: {metric_name([best])} {best['best']:.4f}, {what}: {best['folder']}")
    if len(objectives) > 1:
        front = [row["job"] for row in rows if row[PARETO] == "yes"]
        lines.append(f"Pareto front of {', '.join(objectives)}: job {', '.join(front) or 'none'}")
    lines.append(f"table: {folder / 'sweep.csv'}" + (f", plot: {plot}" if plot else ""))
    for line in lines:
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _plot(folder: Path, rows: list[dict[str, Any]]) -> Path | None:
    """Draw `sweep.png`; None if there is nothing to draw, or no library to draw with."""
    try:
        from ocrexp.report.sweep_plot import plot_sweep

        return plot_sweep(folder / "sweep.png", rows, swept(rows), metric_name(rows), f"sweep {folder}")
    except (ImportError, OSError, ValueError) as error:  # the table is worth more than the plot
        print(printable(f"ocrexp: {folder / 'sweep.png'} could not be drawn: {error}"))
        return None


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """The columns of the outcome that these rows have."""
    return [name for name in COLUMNS if any(name in row for row in rows)]


def _column(key: str) -> str:
    """The column of an override; a key that is called like a column of the outcome keeps its own."""
    return f"{key} (override)" if key in COLUMNS or key == "job" else key


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "seconds":
        from ocrexp.engine.console import duration

        return duration(float(value))
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))
