"""A run that was killed is shown as such by everything that reads it, and offered to be resumed."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from ocrexp.engine.status import write_status
from ocrexp.lock import LOCK, holding
from ocrexp.owner import Owner, process_facts
from ocrexp.runs.catalog import find_runs, read_runs
from ocrexp.runs.state import KILLED, has_checkpoint, not_finished, read_state, resumable
from ocrexp.runs.sweep_table import read_sweep


def make(run_dir, state, *, step=3, age=0, checkpoint=True):
    (run_dir / ".hydra").mkdir(parents=True)
    (run_dir / ".hydra" / "job.json").write_text(json.dumps({"name": run_dir.name, "overrides": []}))
    write_status(run_dir, state=state, step=step, total_steps=10)
    if checkpoint:
        (run_dir / "checkpoints").mkdir()
        (run_dir / "checkpoints" / "latest.pdstates").touch()
    for path in (run_dir / "status.json", run_dir / ".hydra" / "job.json"):
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    return run_dir


def killed_owner():
    process = subprocess.Popen([sys.executable, "-c", ""])
    owner = replace(Owner.here(), pid=process.pid, started=process_facts(process.pid).started)
    process.wait()
    return owner


def test_a_run_whose_process_is_gone_is_shown_as_killed(tmp_path):
    run_dir = make(tmp_path / "0", "running")
    assert read_state(run_dir).state == KILLED  # no lock: of an earlier version
    (run_dir / LOCK).write_text(json.dumps(asdict(killed_owner())))
    assert str(read_state(run_dir)) == "interrupted (killed) at step 3 of 10"
    assert [row["state"] for row in read_sweep(tmp_path)] == [KILLED]
    assert KILLED in not_finished(run_dir)
    assert f"resume run_dir={run_dir}" in not_finished(run_dir)
    with holding(run_dir / LOCK, "x"):
        assert read_state(run_dir).state == "running"
        assert "resume" not in not_finished(run_dir)


@pytest.mark.parametrize("state", ["done", "failed", "interrupted"])
def test_other_states_are_what_the_run_has_written(state, tmp_path):
    assert read_state(make(tmp_path / "r", state)).state == state
    assert (not_finished(tmp_path / "r") is None) == (state == "done")


def test_a_run_that_was_killed_before_it_wrote_anything(tmp_path):
    assert read_state(tmp_path).state == "not run"
    (tmp_path / LOCK).write_text(json.dumps(asdict(killed_owner())))
    assert read_state(tmp_path).state == KILLED
    with holding(tmp_path / LOCK, "x"):
        assert read_state(tmp_path).state == "running"


@pytest.mark.parametrize(
    "content", [b"", b'{"state": "done", "st', b"[]", b'{"step": 3}', b'{"state": 7}', b"\xff\xfe{"]
)
def test_a_damaged_status_is_not_taken_for_a_run_that_has_not_begun(content, tmp_path):
    run_dir = make(tmp_path / "a" / "0", "done")
    (run_dir / "status.json").write_bytes(content)
    assert read_state(run_dir).state == "damaged status.json"
    assert [record.state for record in read_runs(find_runs([str(tmp_path / "a")]))] == ["damaged status.json"]
    assert [row["state"] for row in read_sweep(tmp_path / "a")] == ["damaged status.json"]
    assert [found.name for found, _ in resumable(tmp_path, 5)] == ["0"]  # nothing is lost: it has a checkpoint
    line = not_finished(run_dir)
    assert line.startswith(f"{run_dir / 'status.json'}: damaged")
    assert f"resume run_dir={run_dir}" in line
    with holding(run_dir / LOCK, "x"):
        assert read_state(run_dir).state == "running"


def test_the_latest_resumable_runs_are_found(tmp_path):
    make(tmp_path / "a" / "old", "interrupted", age=300)
    make(tmp_path / "a" / "done", "done")
    make(tmp_path / "a" / "nothing_saved", "failed", checkpoint=False)
    make(tmp_path / "b" / "killed", "running", age=100)
    make(tmp_path / "sweeps" / "s" / "now" / "1", "failed", age=200)
    found = [(run_dir.name, state.state) for run_dir, state in resumable(tmp_path, 5)]
    assert found == [("killed", KILLED), ("1", "failed"), ("old", "interrupted")]
    assert len(resumable(tmp_path, 2)) == 2
    assert resumable(tmp_path / "missing", 5) == []


def test_the_best_weights_alone_are_no_checkpoint_to_resume_from(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best_accuracy.pdstates").touch()
    assert not has_checkpoint(tmp_path)
    (tmp_path / "checkpoints" / "iter_epoch_2.pdstates").touch()
    assert has_checkpoint(tmp_path)
