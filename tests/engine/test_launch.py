"""What is said about ranks that failed, and the threads that each gets."""

import subprocess
from pathlib import Path

import pytest

from ocrexp.engine import launch
from ocrexp.engine.settings import TrainerSettings


def test_the_rank_that_knows_the_cause_is_named(tmp_path: Path) -> None:
    (tmp_path / "workerlog.0").write_text("starting\nocrexp: another process's loss is not finite at step 3\n")
    (tmp_path / "workerlog.1").write_text("ocrexp: the loss is not finite at step 3: binary=nan\n")
    line = launch._why(tmp_path, 1, Path("run"))
    assert line == "rank 1: the loss is not finite at step 3: binary=nan (all output: run/ranks)"


def test_a_traceback_gives_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "workerlog.0").write_text("Traceback (most recent call last):\n  File …\nValueError: shapes differ\n\n")
    assert "workerlog.0: ValueError: shapes differ (exit code 1" in launch._why(tmp_path, 1, Path("run"))


def test_a_launcher_that_fails_itself_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "launcher.log").write_text("Connection refused: 10.0.0.1:8090\n")
    assert "launcher.log: Connection refused" in launch._why(tmp_path, 1, Path("run"))


def test_ranks_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "available_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("FLAGS_paddle_num_threads", "3")
    environment = launch._environment(TrainerSettings(device="cpu"), 2)
    assert environment["OMP_NUM_THREADS"] == "4"
    assert environment["FLAGS_paddle_num_threads"] == "3"  # the user's own


def test_launch_arguments_are_passed_on() -> None:
    settings = TrainerSettings(device="cpu", launch_args=["--nnodes", "2", "--master", "10.0.0.1:8090"])
    arguments = launch._arguments(3, settings, Path("logs"))
    assert arguments == [
        "--nproc_per_node", "3", "--log_dir", "logs", "--backend", "gloo", "--nnodes", "2", "--master", "10.0.0.1:8090",
    ]  # fmt: skip


def test_the_rank_that_was_killed_is_named_with_what_to_do(tmp_path: Path) -> None:
    """The others lose their connection and have an error line of their own."""
    logs, run_dir = tmp_path / "logs", tmp_path / "run"
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints/latest.pdstates").touch()
    logs.mkdir()
    (logs / "workerlog.0").write_text("ocrexp: RuntimeError: Connection closed by peer\n")
    (logs / "workerlog.1").write_text("step 3/200\n")
    (logs / launch._RECORD).write_text(
        '{"rank": 1, "log": "workerlog.1", "code": -9}\n{"rank": 0, "log": "workerlog.0", "code": 1}\n'
    )
    line = launch._why(logs, 1, run_dir)
    assert line.startswith("rank 1: killed by SIGKILL")
    assert "out-of-memory" in line
    assert f"{run_dir}/ranks/rank.1.log" in line
    assert line.endswith(f"Resume with: python -m ocrexp resume run_dir={run_dir}")


def test_a_rank_that_has_waited_too_long_is_named_with_the_key(tmp_path: Path) -> None:
    logs, run_dir = tmp_path / "logs", tmp_path / "run"
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints/latest.pdstates").touch()
    logs.mkdir()
    place = "RuntimeError: [/paddle/third_party/gloo/gloo/transport/tcp/"
    (logs / "workerlog.0").write_text(f"{place}pair.cc:576] Read error [127.0.0.1]:17298: Connection reset by peer\n")
    (logs / "workerlog.1").write_text(f"{place}unbound_buffer.cc:133] TIMEOUT self_rank = -1 pair_rank = none\n")
    (logs / launch._RECORD).write_text(
        '{"rank": 1, "log": "workerlog.1", "code": 1}\n{"rank": 0, "log": "workerlog.0", "code": 1}\n'
    )
    line = launch._why(logs, 1, run_dir, 0.1)
    assert line.startswith("rank 1: waited longer than trainer.dist_timeout_minutes=0.1")
    assert line.endswith(f"Resume with: python -m ocrexp resume run_dir={run_dir}")


def test_the_log_of_the_rank_that_ended_first_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "workerlog.0").write_text("RuntimeError: Connection closed by peer\n")
    (tmp_path / "workerlog.1").write_text("ValueError: shapes differ\n")
    (tmp_path / launch._RECORD).write_text('{"rank": 1, "log": "workerlog.1", "code": 1}\n')
    assert "workerlog.1: ValueError: shapes differ" in launch._why(tmp_path, 1, Path("run"))


def test_a_killed_launcher_is_told_from_its_ranks(tmp_path: Path) -> None:
    (tmp_path / "workerlog.0").write_text("step 3/200\n")
    assert "launcher of the ranks: killed by SIGKILL" in launch._why(tmp_path, -9, Path("run"))


@pytest.mark.parametrize(
    ("printed", "shown", "held"),
    [
        ("step 1\nocrexp: dataset.root: x\n", "step 1\n", ["ocrexp: dataset.root: x\n"]),
        ("ocrexp: a notice\nstep 1\n", "ocrexp: a notice\nstep 1\n", []),
        ("step 1\rstep 2", "step 1\rstep 2", []),
        ("ocrexp: cut off", "", ["ocrexp: cut off\n"]),
        ("warning: é\n", "warning: é\n", []),
    ],
)
def test_an_error_line_of_rank_0_is_left_to_the_command(printed, shown, held, tmp_path, capsys) -> None:
    (tmp_path / "workerlog.0").write_text(printed, encoding="utf-8")
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert launch._follow(process, tmp_path) == held
    assert capsys.readouterr().err == shown
