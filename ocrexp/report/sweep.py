"""A sweep's outcome as a table: on the screen and as `sweep.csv`, best first."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ocrexp.config.frozen import read_job
from ocrexp.engine.status import read_status
from ocrexp.files import replacing

COLUMNS = ("best", "state", "step", "seconds", "peak_memory_mb", "error")


def finish_sweep(folder: Path) -> list[dict[str, Any]]:
    """Read the job folders, write `sweep.csv`, print the table; returns the rows, best first."""
    rows = read_sweep(folder)
    if not rows:
        return rows
    write_csv(folder / "sweep.csv", rows)
    print_table(folder, rows)
    return rows


def read_sweep(folder: Path) -> list[dict[str, Any]]:
    """One row a job folder: number, the overrides that differ between jobs, and what became of it; best first."""
    jobs = []
    for path in sorted(folder.glob("*/.hydra/job.json")):
        run_dir = path.parent.parent
        job = asdict(read_job(run_dir))
        status = read_status(run_dir) or {"state": "not run"}
        jobs.append((run_dir, job, status))
    shared = set.intersection(*(set(job["overrides"]) for _, job, _ in jobs)) if len(jobs) > 1 else set()
    rows = []
    for run_dir, job, status in jobs:
        varied = dict(item.partition("=")[::2] for item in job["overrides"] if item not in shared)
        outcome = {
            "best": status.get("best_value"),
            "state": status.get("state"),
            "step": status.get("step"),
            "seconds": status.get("seconds"),
            "peak_memory_mb": status.get("peak_memory_mb"),
            "error": status.get("error") or "",
        }
        rows.append({"job": run_dir.name, **varied, **outcome})
    return sorted(
        rows,
        key=lambda row: (row["best"] is None, -(row["best"] or 0.0), int(row["job"]) if row["job"].isdigit() else 0),
    )


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows; a job that lacks a column leaves it empty."""
    fields = _fields(rows)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=fields, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _fields(rows: list[dict[str, Any]]) -> list[str]:
    varied = [name for row in rows for name in row if name not in COLUMNS and name != "job"]
    return ["job", *dict.fromkeys(varied), *COLUMNS]


def print_table(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The table on the screen; errors stand below it, whole."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"sweep {folder}", title_justify="left")
    fields = [name for name in _fields(rows) if name != "error"]
    for name in fields:
        table.add_column(name, justify="left" if name in ("job", "state") else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in fields))
    console.print(table)
    for row in rows:
        if row["error"]:
            console.print(f"job {row['job']}: {row['error']}", markup=False, highlight=False)
    console.print(f"table: {folder / 'sweep.csv'}", markup=False, highlight=False)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
