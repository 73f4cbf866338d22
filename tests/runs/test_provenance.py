"""environment.json: versions, machine, and the state of the code in git."""

import subprocess
from pathlib import Path

import pytest

from ocrexp.environment import START_FOLDER
from ocrexp.runs.provenance import git_state, read_provenance, write_provenance


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(["git", "-C", str(folder), *names, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_and_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, run = tmp_path / "code", tmp_path / "run"
    code.mkdir()
    run.mkdir()
    git(code, "init", "-q")
    (code / "part.py").write_text("a = 1\n")
    git(code, "add", ".")
    git(code, "commit", "-qm", "first")
    state = git_state(code)
    assert state is not None and (state["commit"], state["changed"], state["diff"]) == (
        git(code, "rev-parse", "HEAD"),
        [],
        "",
    )
    (code / "part.py").write_text("a = 2\n")
    (code / "new.py").write_text("")
    monkeypatch.setenv(START_FOLDER, str(code))
    write_provenance(run, "cpu")
    found = read_provenance(run)
    assert found is not None
    assert "+a = 2" in found["git"]["diff"] and found["git"]["changed"] == [" M part.py", "?? new.py"]
    assert found["device"] == "cpu" and found["packages"]["numpy"] and found["cores"] >= 1
    (code / "part.py").write_text("a = 3\n")
    write_provenance(run, "gpu:0")  # it tells how the run began
    assert (read_provenance(run) or {})["device"] == "cpu"


def test_without_a_repository_and_damaged(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None or (Path("/tmp") / ".git").exists()
    assert read_provenance(tmp_path) is None
    (tmp_path / "environment.json").write_text("[1]")
    assert read_provenance(tmp_path) is None
