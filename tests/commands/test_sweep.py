"""A sweep's job in a process of its own: signals reach it once, and its folder tells what became of it."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest
import warm
from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.engine.status import write_status
from ocrexp.errors import ConfigError
from ocrexp.lock import LOCK
from ocrexp.runs import job
from ocrexp.runs.plan import SweepPlan, SweepSettings
from ocrexp.runs.search.request import read_search
from ocrexp.runs.sweep_table import read_sweep

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
from ocrexp.runs.job_process import wait_for
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


def run_job(tmp_path, monkeypatch, code, *overrides, retries=0):
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
    value = job.run_sweep_job(compose("train", ["seed=1", *overrides]), run_dir, hydra, retries)
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


# Whole sweeps, whose jobs are processes that train nothing.

WORKER = """
import json, sys
from pathlib import Path
run_dir = Path(sys.argv[1])
tried = run_dir / "tried"
attempt = len(tried.read_text()) if tried.exists() else 0
tried.write_text("x" * (attempt + 1))
lr = float((run_dir / "config_resolved.yaml").read_text().split("\\n  lr: ")[1].split()[0])
status = {"state": "done", "best_value": lr, "best_metric": "hmean", "val_loss": 1 - lr, "step": 3, "total_steps": 3,
          "seconds": 1.0}
(run_dir / "status.json").write_text(json.dumps(status))
"""
SCRIPT = """
import sys
from pathlib import Path
from ocrexp.__main__ import main
from ocrexp.runs import job
job.worker_command = lambda run_dir, resume: [str(Path(__file__).with_name("worker.py")), str(run_dir)]
sys.exit(main())
"""


@pytest.fixture
def sweep(tmp_path):
    """`sweep(*arguments)`: returns exit code, output and error lines."""
    (tmp_path / "sweep.py").write_text(SCRIPT)

    (tmp_path / "worker.py").write_text(WORKER)

    def run(*arguments):
        done = warm.run([tmp_path / "sweep.py", "-m", "sweep_dir=sweep", *arguments], cwd=tmp_path)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run


def rows_of(folder):
    with (folder / "sweep.csv").open(newline="") as file:
        return {row["job"]: row for row in csv.DictReader(file)}


def test_a_budget_leaves_jobs_not_run_and_the_same_command_runs_them(sweep, tmp_path):
    grid = ["optim.lr=range(1,3)", "sweep.stop_when.jobs=1"]
    for number in range(2):
        code, out, err = sweep(*grid)
        states = [rows_of(tmp_path / "sweep")[str(job)]["state"] for job in range(2)]
        assert states == ["done"] * (number + 1) + ["not run"] * (1 - number)
        assert code == 0, err
        assert any("sweep.stop_when is used up" in line for line in out) == (number == 0)
        assert f"ocrexp: job {number} (optim.lr={number + 1}) done: hmean {number + 1}.0000, 3 steps in 0:01" in out
    assert [(tmp_path / "sweep" / str(job) / "tried").read_text() for job in range(2)] == ["x"] * 2


def test_a_job_that_may_not_start_any_more_is_in_the_table_as_not_run(tmp_path, monkeypatch):
    (tmp_path / "sweep").mkdir()
    SweepPlan(until=time.time() - 1).write(tmp_path / "sweep")
    with pytest.raises(FileNotFoundError):  # it has no status.json
        run_job(tmp_path, monkeypatch, "raise SystemExit(3)")
    assert [row["state"] for row in read_sweep(tmp_path / "sweep")] == ["not run"]


FAILS_TWICE = """
import json, sys
from pathlib import Path
run_dir = Path(sys.argv[1])
tried = Path(run_dir, "tried")
count = len(tried.read_text()) if tried.exists() else 0
tried.write_text("x" * (count + 1))
state = "failed" if count < 2 else "done"
Path(run_dir, "status.json").write_text(json.dumps({"state": state, "best_value": 0.5, "error": "the disk is full"}))
sys.exit(CODE if count < 2 else 0)
"""


def test_failed_jobs_are_tried_again_on_request(tmp_path, monkeypatch, capsys):
    value, status = run_job(tmp_path, monkeypatch, FAILS_TWICE.replace("CODE", "1"), retries=2)
    assert (value, status["state"]) == (0.5, "done")
    out, err = capsys.readouterr()
    assert "attempt 3 of 3: starts in" in out
    assert err.count("failed: the disk is full") == 2
    (tmp_path / "sweep" / "0" / "tried").unlink()
    write_status(tmp_path / "sweep" / "0", state="failed")
    value, status = run_job(tmp_path, monkeypatch, FAILS_TWICE.replace("CODE", "2"), retries=2)
    assert (tmp_path / "sweep" / "0" / "tried").read_text() == "x"  # another attempt would read the same configuration


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sweep.retries=-1", ("sweep.retries", "0 or more", "-1")),
        ("sweep.stop_when.jobs=0", ("sweep.stop_when.jobs", "1 or more", "0")),
        ("sweep.stop_when.minutes=soon", ("sweep.stop_when.minutes", "above 0", "'soon'")),
        ("sweep.stop_wen.jobs=1", ("sweep.stop_wen", "did you mean stop_when")),
    ],
)
def test_what_a_sweep_cannot_be_is_one_line(override, words):
    with pytest.raises(ConfigError) as caught:
        SweepSettings.read(compose("train", [override]))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_values_that_change_together_are_a_group_of_files(sweep, tmp_path):
    (tmp_path / "conf" / "pair").mkdir(parents=True)
    for name, size, lr in (("small", 4, 0.001), ("large", 16, 0.002)):
        text = f"# @package _global_\n# A pair.\nloader:\n  batch_size: {size}\noptim:\n  lr: {lr}\n"
        (tmp_path / "conf" / "pair" / f"{name}.yaml").write_text(text)
    code, _, err = sweep("+pair=small,large")
    assert code == 0, err
    found = [OmegaConf.load(tmp_path / "sweep" / job / "config_resolved.yaml") for job in "01"]
    assert [(config.loader.batch_size, config.optim.lr) for config in found] == [(4, 0.001), (16, 0.002)]
    assert [row["pair"] for row in rows_of(tmp_path / "sweep").values()] == ["large", "small"]  # best first


def test_keys_and_values_come_from_a_file_and_the_command_line_wins(sweep, tmp_path):
    code, _, err = sweep("sweep=lr_batch", "loader.batch_size=4")
    assert code == 0, err
    rows = rows_of(tmp_path / "sweep")
    assert [row["optim.lr"] for row in rows.values()] == ["0.001", "0.0003", "0.0001"]
    assert "loader.batch_size" not in next(iter(rows.values()))


def test_a_sweep_without_its_flag_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = warm.run(["-m", "ocrexp", "sweep=lr_batch"], cwd=tmp_path)
    assert done.returncode == 2 and "sweep=lr_batch" in done.stderr and "add -m" in done.stderr
    assert not (tmp_path / "outputs").exists()


# A search.

SEARCH = ["hydra/sweeper=ocrexp_optuna", "hydra.sweeper.n_trials=2"]


def test_a_search_runs_and_continues(sweep, tmp_path):
    optuna = pytest.importorskip("optuna", reason="extra 'search' is not installed")
    lr = "optim.lr=tag(log,interval(1e-5,1e-2))"
    code, out, err = sweep(*SEARCH, lr, "sweep.stop_when.jobs=1")
    assert code == 0, err
    assert [(tmp_path / "sweep" / str(job) / "tried").exists() for job in range(2)] == [True, False]
    code, out, err = sweep(*SEARCH, lr)
    assert code == 0, err
    rows = rows_of(tmp_path / "sweep")
    assert sorted(rows) == ["0", "1"]
    assert [(tmp_path / "sweep" / job / "tried").read_text() for job in rows] == ["x"] * 2
    study = optuna.load_study(study_name="sweep", storage=storage(tmp_path / "sweep" / "study.log"))
    assert [trial.value for trial in study.trials] == [float(rows[str(job)]["best"]) for job in range(2)]
    assert any(line.startswith("best: hmean") and f"job {study.best_trial.number} (optim.lr=" in line for line in out)
    code, _, err = sweep("optim.lr=1,2")
    assert code == 2 and len(err) == 1 and "another sweep" in err[0]


def storage(path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["hydra.sweeper.sampler=gird"], ("hydra.sweeper.sampler", "grid", "'gird'")),
        (["hydra.sweeper.sampler=cmaes"], ("cmaes", "two or more keys")),
        (["hydra.sweeper.sampler=grid"], ("grid", "optim.lr is an interval")),
        (["hydra.sweeper.warm_start=[nowhere]"], ("warm_start", "nowhere")),
        (["hydra.sweep.subdir=a"], ("hydra.sweep.subdir", "by its trial")),
        (["hydra.sweeper.storage=study.txt"], ("hydra.sweeper.storage", "FILE.log", "study.txt")),
    ],
)
def test_a_search_that_cannot_be_is_one_line(overrides, words):
    pytest.importorskip("optuna", reason="extra 'search' is not installed")
    config = compose("train", ["hydra/sweeper=ocrexp_optuna", *overrides], with_hydra=True)
    with pytest.raises(ConfigError) as caught:
        read_search(config, ["optim.lr=interval(1,2)"])
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_a_search_without_optuna_names_the_command(monkeypatch, tmp_path):
    import importlib.util

    from ocrexp.runs.search.options import check_installed

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'ocrexp\[search\]'"):
        check_installed()
