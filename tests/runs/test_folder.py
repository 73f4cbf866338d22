"""A run's folder belongs to one process: several that ask at once get one each, or one gets it; nothing is mixed."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from omegaconf import OmegaConf

from ocrexp import lock
from ocrexp.errors import ConfigError
from ocrexp.lock import LOCK, read_owner
from ocrexp.owner import Owner, process_facts
from ocrexp.runs.folder import claim_run, claim_sweep, locked, machines


@pytest.fixture(autouse=True)
def _no_lock_stays():
    yield
    lock.release_all()


@pytest.fixture
def other():
    """The owner that a process which runs would be."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield replace(Owner.here(), pid=process.pid, started=process_facts(process.pid).started, token="other")
    process.communicate(b"\n")


def put(folder, owner):
    (folder / LOCK).write_text(json.dumps(asdict(owner)))


CLAIM = """
import sys
from pathlib import Path
from ocrexp.errors import ConfigError
from ocrexp.runs.folder import claim_run, claim_sweep
print("ready", flush=True)
input()
claim = claim_sweep if sys.argv[1] == "sweep" else claim_run
try:
    print(claim(Path("outputs/a/now"), given=sys.argv[2] == "given").name, flush=True)
except ConfigError as error:
    print(f"refused: {error}", flush=True)
input()
"""


@pytest.mark.parametrize("kind", ["run", "sweep"])
@pytest.mark.parametrize("how", ["default", "given"])
def test_of_several_that_start_at_once_each_has_a_folder_or_one_has_it(kind, how, tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, kind, how],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    told = sorted(process.stdout.readline().strip() for process in processes)
    for process in processes:
        process.communicate("\n")
    if how == "default":
        assert told == ["now", "now_2", "now_3"]
    else:
        assert told[0] == "now"
        assert all(f"{kind}_dir=outputs/a/now" in line and "process" in line for line in told[1:]), told


def test_a_given_folder_that_holds_something_is_refused_and_untouched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=f"run_dir={tmp_path}: .*another run_dir"):
        claim_run(tmp_path, given=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "latest.pdstates").touch()
    with pytest.raises(ConfigError, match=f"resume run_dir={tmp_path}"):
        claim_run(tmp_path, given=True)
    with pytest.raises(ConfigError, match="is a file"):
        claim_run(tmp_path / "notes.txt", given=True)


def test_an_empty_folder_may_be_given(tmp_path):
    assert claim_run(tmp_path, given=True) == tmp_path
    assert read_owner(tmp_path / LOCK).pid == os.getpid()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for claim, key in ((claim_run, "run_dir"), (claim_sweep, "sweep_dir")):
        with pytest.raises(ConfigError, match=f"{key}=.*cannot be written"):
            claim(tmp_path / "file" / "run", given=True)


def test_a_run_that_trains_is_refused_with_host_and_process(tmp_path, other):
    put(tmp_path, other)
    with (
        pytest.raises(ConfigError, match=f"run_dir={tmp_path}: .*process {other.pid} on {other.host}"),
        locked(tmp_path),
    ):
        pass
    assert read_owner(tmp_path / LOCK) == other


def test_machines_of_one_run_share_its_folder(tmp_path, other):
    config = OmegaConf.create({"trainer": {"launch_args": ["--nnodes", "2", "--master=a:1"]}})
    shared = machines(config)
    assert "a:1" in shared
    (tmp_path / "config_resolved.yaml").touch()
    put(tmp_path, replace(other, shared=shared))
    assert claim_run(tmp_path, given=True, shared=shared) == tmp_path
    put(tmp_path, replace(other, shared="2 machines at b:1"))
    with pytest.raises(ConfigError, match="run_dir"):
        claim_run(tmp_path, given=True, shared=shared)
    (tmp_path / LOCK).unlink()  # an earlier run that has ended
    with pytest.raises(ConfigError, match="run_dir"):
        claim_run(tmp_path, given=True, shared=shared)


def test_one_machine_has_nothing_to_share(monkeypatch):
    monkeypatch.delenv("PADDLE_NNODES", raising=False)
    assert machines(OmegaConf.create({"trainer": {"launch_args": []}})) is None
    assert machines(OmegaConf.create({"trainer": {"launch_args": ["--nnodes", "1"]}})) is None


def test_a_single_runs_folder_is_not_a_sweeps(tmp_path):
    (tmp_path / "status.json").write_text("{}")
    with pytest.raises(ConfigError, match=f"sweep_dir={tmp_path}: .*single run"):
        claim_sweep(tmp_path, given=True)


def test_what_killed_processes_left_unfinished_goes_when_the_folder_is_taken(tmp_path, other):
    plots = tmp_path / "plots" / "val"
    plots.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [folder / f".{name}.{dead.pid}.tmp" for folder, name in ((tmp_path, "metrics.csv"), (plots, "0.jpg"))]
    kept = [tmp_path / f".eval.json.{other.pid}.tmp", tmp_path / ".notes.tmp", tmp_path / "metrics.csv"]
    for path in (*gone, *kept):
        path.write_text("")
    with locked(tmp_path):
        pass
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
