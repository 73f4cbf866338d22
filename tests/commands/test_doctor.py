"""The doctor: what it reports of good, missing and broken packages, and its exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from ocrexp.__main__ import main
from ocrexp.commands.doctor import table
from ocrexp.diagnosis import Finding, machine, packages
from ocrexp.environment import _quota

ROOT = Path(__file__).resolve().parents[2]


def states(printed):
    """State by name, of the lines that have one."""
    rows = [line.split() for line in printed.splitlines()]
    return {row[1]: row[0] for row in rows if len(row) > 1 and row[0] in ("ok", "note", "warn", "fail")}


@pytest.fixture
def quick(monkeypatch):
    """Few packages to import, and a paddle that answers."""
    monkeypatch.setattr(packages, "REQUIRED", (("PyYAML", "yaml"),))
    monkeypatch.setattr(packages, "OPTIONAL", (("lmdb", "lmdb", "lmdb", "dataset=rec_lmdb"),))
    told = {"version": "3.3.1", "cuda": False, "cards": [], "right": True, "built": "", "cudnn": ""}
    monkeypatch.setattr(packages, "ask", lambda code: told)
    monkeypatch.setattr(machine, "_nvidia_smi", lambda: "")
    return told


def test_a_good_machine(quick, capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    names = ("Python", "System", "Packages", "paddle", "GPU", "Cores", "Memory", "/dev/shm", "Runs", "Cache", "Fonts")
    assert set(names) <= set(states(printed))
    assert "fail" not in states(printed).values()
    assert all(len(line) <= 100 for line in printed.splitlines())


def test_broken_and_missing_packages_are_named_with_advice(quick, monkeypatch, tmp_path, capsys):
    monkeypatch.undo()
    for name, text in {
        "paddle": "raise ImportError('libfoo.so is missing')",
        "lmdb": "import os; os._exit(3)",
        "cv2": "raise ImportError('libGL.so.1: cannot open shared object file')",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(packages, "REQUIRED", (("opencv-python", "cv2"), ("PyYAML", "yaml"), ("gone", "gone")))
    optional = [
        ("lmdb", "lmdb", "lmdb", "a"),
        ("nothing-here", "nothing_here", "parallel", "b"),
        ("PyYAML", "yaml", "x", "c"),
    ]
    monkeypatch.setattr(packages, "OPTIONAL", optional)
    assert main(["doctor"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "fail opencv-python" in printed and "apt-get install -y libgl1" in printed
    assert (
        "fail gone not installed: ModuleNotFoundError: No module named 'gone' → pip install 'ocrexp[train]'" in printed
    )
    assert "fail paddle" in printed and "libfoo.so is missing" in printed
    assert "note nothing-here not installed (b) → pip install 'ocrexp[parallel]'" in printed
    assert "warn lmdb" in printed and "ends the process" in printed
    assert "ok PyYAML" in printed  # what comes after a package that ends the process
    assert "training cannot run here: opencv-python, gone, paddle" in printed


def test_it_runs_where_no_package_is_installed(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from ocrexp.__main__ import main; sys.exit(main(['doctor']))"
    )
    command = [sys.executable, "-S", "-c", code]
    result = subprocess.run(
        command, cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert states(result.stdout)["paddle"] == "fail"
    assert "ocrexp[cpu]" in result.stdout or "paddlepaddle-gpu" in result.stdout


@pytest.mark.parametrize(
    ("change", "driver", "state", "words"),
    [
        (
            {"cuda": True, "cards": [["A100", 40 << 30, "8.0"], ["A100", 40 << 30, "8.0"]]},
            "2 × A100, 550",
            "ok",
            "40 GB",
        ),
        ({}, "1 × A100, 550", "warn", "paddlepaddle-gpu"),
        ({"cuda": True}, "1 × A100, 550", "warn", "CUDA_VISIBLE_DEVICES"),
        ({"cuda": True}, "", "warn", "--gpus all"),
        ({}, "", "note", "CPU"),
    ],
)
def test_gpus(quick, monkeypatch, change, driver, state, words):
    monkeypatch.setattr(machine, "_nvidia_smi", lambda: driver)
    found = machine.check_gpus({**quick, **change})
    assert {item.state for item in found} == {state}
    assert words in " ".join(f"{item.value} {item.advice}" for item in found)


def test_wrong_numbers_and_two_paddles(quick, monkeypatch):
    assert packages.check_paddle({**quick, "right": False})[0].state == "fail"
    monkeypatch.setattr(packages, "_version", lambda *names: "3.0")
    assert packages.check_paddle(quick)[0].state == "warn"


def test_a_folder_that_cannot_be_written_fails(quick, monkeypatch, capsys):
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert states(printed)["Runs"] == "fail" and "run_dir=" in printed


def test_it_takes_no_keys(capsys):
    assert main(["doctor", "trainer.device=cpu"]) == 2
    assert "trainer.device=cpu" in capsys.readouterr().err
    assert main(["doctor", "--help"]) == 0
    assert "doctor" in capsys.readouterr().out


def test_escape_codes_in_what_is_shown_are_not_sent_to_the_terminal():
    assert "\x1b" not in "".join(table([Finding("ok", "Runs", "a\x1b[31mb", "c\x1b[0m")]))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_quotas_of_both_versions_of_control_groups(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _quota(tmp_path) == cores
