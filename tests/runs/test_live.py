"""The table of a sweep whose jobs run in parallel."""

import io
import json

from rich.console import Console

from ocrexp.lock import LOCK
from ocrexp.runs.live import LiveTable, seconds_left, summary


def job(folder, number, **status):
    (folder / str(number) / ".hydra").mkdir(parents=True)
    names = {"name": "job", "number": number, "overrides": [f"optim.lr={number}e-3"]}
    (folder / str(number) / ".hydra" / "job.json").write_text(json.dumps(names))
    if status:
        (folder / str(number) / "status.json").write_text(json.dumps(status))


def test_the_table_shows_state_step_best_and_time_left(tmp_path, lock_of_another):
    job(tmp_path, 1, state="done", step=40, total_steps=40, best_value=0.75, seconds=20.0)
    job(tmp_path, 2, state="running", step=10, total_steps=40, best_value=0.25, seconds=7.0)
    lock_of_another(tmp_path / "2" / LOCK)
    job(tmp_path, 3, state="failed", step=3, total_steps=40, error="no")
    job(tmp_path, 4)
    console = Console(file=io.StringIO(), width=100, height=30)
    console.print(LiveTable(tmp_path, 6, console).table())
    shown = console.file.getvalue()
    lines = [line.split() for line in shown.splitlines()]
    assert next(line for line in lines if "running" in line)[1:] == [
        "2", "│", "2e-3", "│", "running", "│", "10/40", "│", "0.2500", "│", "0:21", "│",
    ]  # fmt: skip
    assert any("done" in line and "0.7500" in line for line in lines)
    assert "1 of 6 jobs finished, 1 running, 1 failed or interrupted, about 1:40 left" in " ".join(shown.split())


def test_more_jobs_than_lines_are_counted(tmp_path):
    for number in range(20):
        job(tmp_path, number, state="done", step=1, total_steps=1, best_value=0.5, seconds=1.0)
    console = Console(file=io.StringIO(), width=100, height=14)
    console.print(LiveTable(tmp_path, 20, console).table())
    assert "14 jobs are not shown" in " ".join(console.file.getvalue().split())


def test_nothing_is_known_before_the_first_step():
    row = {"state": "running", "step": 0, "seconds": 3.0}
    assert seconds_left(row, 40) is None
    assert summary([row], None) == "0 of 1 jobs finished, 1 running"
