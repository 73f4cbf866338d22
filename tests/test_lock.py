"""A lock names its process: alive it refuses, dead it is taken over, elsewhere it is watched; never two owners."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from ocrexp import lock
from ocrexp.lock import LockedError, acquire, holding, is_held, read_owner, release
from ocrexp.owner import Owner, process_facts


@pytest.fixture
def path(tmp_path):
    yield tmp_path / ".lock"
    lock.release_all()


@pytest.fixture
def other():
    """A process that runs, as an owner."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process, replace(Owner.here(), pid=process.pid, started=process_facts(process.pid).started, token="other")
    process.kill()
    process.wait()
    process.stdin.close()


def put(path, owner):
    path.write_text(json.dumps(asdict(owner)))


def test_a_lock_that_is_held_refuses_and_names_host_and_process(path, other):
    _, owner = other
    put(path, owner)
    assert is_held(path)
    with pytest.raises(LockedError, match=f"run_dir=r: .*process {owner.pid} on {owner.host}"):
        acquire(path, "run_dir=r")
    assert read_owner(path) == owner


def test_a_lock_is_removed_at_the_end_and_may_be_taken_twice_by_its_process(path):
    with holding(path, "x"):
        with holding(path, "x"):
            assert read_owner(path).pid == os.getpid()
        assert is_held(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("change", [{"started": "1"}, {"boot": "another"}, {"pid": 2**22 + 5}])
def test_a_stale_lock_is_taken_over_with_one_line(path, other, change, capfd):
    """Also where the process id is in use again: by a process that started later, or after the machine did."""
    _, owner = other
    put(path, replace(owner, **change))
    assert not is_held(path)
    acquire(path, "run_dir=r")
    assert read_owner(path).pid == os.getpid()
    err = capfd.readouterr().err.splitlines()
    assert len(err) == 1
    assert "run_dir=r: process" in err[0]
    release(path)
    assert list(path.parent.iterdir()) == []


def test_a_killed_process_that_nobody_has_waited_for_is_dead(path, other):
    process, owner = other
    put(path, owner)
    process.kill()
    for _ in range(500):
        if not is_held(path):
            break
        time.sleep(0.01)
    acquire(path, "x")


@pytest.mark.parametrize("elsewhere", [{"host": "node7"}, {"namespace": "pid:[1]"}])
def test_a_lock_of_another_machine_is_alive_while_it_is_renewed(path, other, elsewhere, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock, "SILENT_SECONDS", 1.0)
    put(path, replace(other[1], **elsewhere))
    threading.Timer(0.1, os.utime, [path]).start()
    with pytest.raises(LockedError, match=str(other[1].pid)):
        acquire(path, "x")
    monkeypatch.setattr(lock, "SILENT_SECONDS", 0.1)
    acquire(path, "x")  # silent now
    assert read_owner(path).pid == os.getpid()


def test_an_old_lock_of_another_machine_needs_no_waiting(path, other):
    put(path, replace(other[1], host="node7"))
    os.utime(path, (time.time() - 3600,) * 2)
    assert not is_held(path)
    began = time.monotonic()
    acquire(path, "x")
    assert time.monotonic() - began < 2


def test_the_owner_renews_its_lock(path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    with holding(path, "x"):
        os.utime(path, (0, 0))
        for _ in range(200):
            if path.stat().st_mtime > 0:
                break
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_a_torn_lock_file_is_taken_over_once_it_is_old(path):
    path.write_text('{"host": "a')
    os.utime(path, (time.time() - 3600,) * 2)
    acquire(path, "x")
    assert read_owner(path).pid == os.getpid()


def test_machines_of_one_run_hold_its_lock_together(path, other):
    put(path, replace(other[1], shared="2 machines at a:1"))
    with holding(path, "x", shared="2 machines at a:1"):
        assert read_owner(path).token == "other"
    assert read_owner(path).token == "other"
    with pytest.raises(LockedError):
        acquire(path, "x", shared="2 machines at b:1")


CHILD = """
import sys
from pathlib import Path
from ocrexp.lock import acquire, release
acquire(Path(sys.argv[1]), "x", adopt=True)
print(Path(sys.argv[1]).read_text(), flush=True)
if sys.argv[2] == "release":
    release(Path(sys.argv[1]))
import os
os._exit(0)
"""


@pytest.mark.parametrize("end", ["release", "die"])
def test_a_process_of_a_run_takes_the_lock_of_its_parent_and_gives_it_back(path, end):
    with holding(path, "x"):
        mine = read_owner(path)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(path), end], capture_output=True, text=True, check=True
        )
        assert json.loads(child.stdout)["pid"] != os.getpid()
        assert (read_owner(path) == mine) == (end == "release")
    assert not path.exists()


RACE = """
import sys, time
from pathlib import Path
from ocrexp.lock import LockedError, acquire
print("ready", flush=True)
input()
try:
    acquire(Path(sys.argv[1]), "x")
except LockedError:
    print("refused", flush=True)
else:
    print("held", flush=True)
input()
"""


@pytest.mark.parametrize("stale", [False, True])
def test_of_several_that_ask_at_once_one_gets_the_lock(path, other, stale):
    if stale:
        put(path, replace(other[1], started="1"))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    told = [racer.stdout.readline().strip() for racer in racers]
    for racer in racers:
        racer.communicate("\n")
    assert sorted(told) == ["held", *["refused"] * 4]


def test_what_killed_processes_have_left_is_removed_by_the_next_owner(path):
    gone = 2**22 + 5
    (path.parent / f"..lock.abcdef01.{gone}.tmp").touch()
    put(path.with_name(".lock.abcdef01"), replace(Owner.here(), pid=gone))
    with holding(path, "x"):
        assert list(path.parent.iterdir()) == [path]
