"""Children end with their parent, and with the command above it; a signal ends a command in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ocrexp import __main__
from ocrexp.processes import OWNER, PARENT, StoppedBySignal, describe_signal, owned, owning, process_runs, stopping

# A parent that starts a child (directly, or below a process of somebody else's) and says its id; both wait for long.
_CHILD = """
import sys, time
from ocrexp.processes import end_with_command
end_with_command()
print('ready', flush=True)
time.sleep(60)
"""
_DIRECT = f"""
import os, subprocess, sys, time
from ocrexp.processes import owned
child = subprocess.Popen([sys.executable, '-c', {_CHILD!r}], env=owned(dict(os.environ)), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
_BELOW_A_LAUNCHER = f"""
import subprocess, sys, time
from ocrexp.processes import owning
middle = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', " + repr({_CHILD!r}) + \\
    "], stdout=subprocess.PIPE); p.stdout.readline(); print(p.pid, flush=True); p.wait()"
with owning():
    launcher = subprocess.Popen([sys.executable, '-c', middle], stdout=subprocess.PIPE, start_new_session=True)
    print(launcher.stdout.readline().decode().strip(), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("script", [_DIRECT, _BELOW_A_LAUNCHER], ids=["child", "grandchild"])
def test_a_child_ends_when_its_parent_is_killed(script: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in (PARENT, OWNER)}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert process_runs(child)
    parent.kill()  # not waited for: an ended process that nobody has asked about is not a running one
    for _ in range(100):
        if not process_runs(child):
            break
        time.sleep(0.05)
    assert not process_runs(child)
    parent.wait()
    parent.stdout.close()


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    environment = {**os.environ, PARENT: "1999999999", "PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run([sys.executable, "-c", _CHILD], env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert b"ready" not in ended.stdout


def test_only_the_command_itself_names_the_owner() -> None:
    with owning():
        mine = os.environ[OWNER]
        assert f":{os.getpid()}:" in mine
        with owning():
            assert os.environ[OWNER] == mine
        assert OWNER in os.environ
        assert owned({"A": "1"}) == {"A": "1", PARENT: str(os.getpid())}


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "ocrexp", "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None and started.stderr is not None
    started.stdout.close()
    assert started.stderr.read() == b"" and started.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line_and_an_exit_code(
    number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def work(path: str) -> int:
        os.kill(os.getpid(), number)
        time.sleep(5)
        return 0

    import ocrexp.commands.synth as synth

    monkeypatch.setattr(synth, "run", work)
    assert __main__.main(["synth", f"out={tmp_path / 'drawn'}"]) == 128 + number
    error = capfd.readouterr().err
    assert error.strip().splitlines() == [f"ocrexp: {signal.Signals(number).name}: stopped"]


def test_a_signal_that_comes_in_a_finalizer_is_not_lost() -> None:
    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)  # the handler runs here, where Python ignores what it raises

    with pytest.raises(StoppedBySignal), stopping():
        Finalized()
        time.sleep(10)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stopping():
            os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(StoppedBySignal), stopping():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_out_of_memory_killer_is_named() -> None:
    assert "SIGKILL" in describe_signal(9)
    assert "out-of-memory" in describe_signal(9)
    assert describe_signal(6) == "SIGABRT"
