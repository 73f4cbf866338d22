"""A sweep's job in a process of its own: signals reach it once, and its folder tells what became of it."""

import json
import signal
import subprocess
import sys
import time

import pytest
from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.engine.status import write_status
from ocrexp.lock import LOCK
from ocrexp.runs import job

JOB = """
import signal, sys, time
from pathlib import Path
received = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: received.append(number))
Path("ready").touch()
while not received:
    time.sleep(0.02)
time.sleep(0.6)  # the rest of a step
Path("saved").write_text(repr(received))
sys.exit(128 + received[0])
"""

SWEEP = """
import subprocess, sys
from ocrexp.runs.job import wait_for
print(wait_for(subprocess.Popen([sys.executable, "job.py"], start_new_session=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_told_to_stop_waits_until_its_job_has_saved(number, tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    process = subprocess.Popen([sys.executable, "-c", SWEEP], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    for _ in range(1000):
        if (tmp_path / "ready").exists():
            break
        time.sleep(0.02)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (tmp_path / "saved").read_text() == f"[{number.value}]"
    assert out.strip() == f"({128 + number.value}, {number.value})"


def run_job(tmp_path, monkeypatch, code, *overrides):
    """A sweep of one job whose process only runs `code`."""
    script = tmp_path / "script.py"
    script.write_text(code)
    monkeypatch.setattr(job, "worker_command", lambda run_dir, resume: [str(script), str(run_dir)])
    hydra = OmegaConf.create(
        {
            "overrides": {"task": ["seed=1"]},
            "sweep": {"dir": str(tmp_path / "sweep")},
            "job": {"num": 0},
            "launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
        }
    )
    run_dir = tmp_path / "sweep" / "0"
    run_dir.mkdir(parents=True, exist_ok=True)
    value = job.run_sweep_job(compose("train", ["seed=1", *overrides]), run_dir, hydra)
    return value, json.loads((run_dir / "status.json").read_text())


def test_a_job_that_dies_without_a_word_is_told_and_stops_nothing(tmp_path, monkeypatch, capsys):
    value, status = run_job(tmp_path, monkeypatch, "import os; os.kill(os.getpid(), 9)")
    assert value is None
    assert status["state"] == "failed"
    assert "SIGKILL" in status["error"]
    assert "job 0 (seed=1) failed: its process was killed by SIGKILL" in capsys.readouterr().err
    value, status = run_job(tmp_path, monkeypatch, "import sys; sys.exit(3)")
    assert "ended with exit code 3" in status["error"]  # and not what the attempt before it died of


def test_a_job_on_several_devices_that_fails_stops_nothing(tmp_path, monkeypatch, capsys):
    from ocrexp.engine import distributed
    from ocrexp.errors import TrainingError

    def launch(*arguments):
        raise TrainingError("rank 1: killed")

    monkeypatch.setattr(distributed, "launch", launch)
    value, status = run_job(tmp_path, monkeypatch, "", "trainer.devices=2")
    assert value is None
    assert (status["state"], status["error"]) == ("failed", "rank 1: killed")
    assert "rank 1: killed" in capsys.readouterr().err


def test_a_job_that_was_killed_is_continued(tmp_path, monkeypatch, capsys):
    run_job(tmp_path, monkeypatch, "")
    run_dir = tmp_path / "sweep" / "0"
    write_status(run_dir, state="running", step=7, total_steps=9)
    (run_dir / "checkpoints").mkdir()
    (run_dir / "checkpoints" / "latest.pdstates").touch()
    capsys.readouterr()
    run_job(tmp_path, monkeypatch, "")
    line = capsys.readouterr().out
    assert "job 0 (seed=1) interrupted (killed) at step 7 of 9; resumes" in line


def test_a_job_that_another_process_trains_is_left_to_it(tmp_path, monkeypatch, capsys, lock_of_another):
    run_dir = tmp_path / "sweep" / "0"
    run_dir.mkdir(parents=True)
    write_status(run_dir, state="running", step=7)
    owner = lock_of_another(run_dir / LOCK)
    value, status = run_job(tmp_path, monkeypatch, "")
    assert value is None
    assert status["step"] == 7
    assert f"process {owner.pid} on {owner.host}" in capsys.readouterr().err
