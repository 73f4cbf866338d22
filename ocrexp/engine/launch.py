"""Start one training process per device through `paddle.distributed.launch`, forward signals, and report which failed.

More than one machine: run the same command on each with `trainer.launch_args=[--nnodes,"2",--master,"10.0.0.1:8090"]`
(or PADDLE_MASTER, PADDLE_NNODES, … in the environment, which the launcher reads). `trainer.devices` is then the number
of processes on each machine, and `run_dir` must be a folder that all of them see.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import IO, Any

from ocrexp.command_line import command
from ocrexp.engine.devices import checked_devices, gpu_count, visible_devices
from ocrexp.engine.launcher import read_ends
from ocrexp.environment import available_cores, with_package
from ocrexp.errors import ConfigError, TrainingError
from ocrexp.folders import scratch
from ocrexp.located import option
from ocrexp.processes import STOP_SIGNALS, describe_signal, leave_terminal, owned

ELSEWHERE = "another process"  # in the error of a rank that stops for a fault that is not its own
_SECONDS_BETWEEN_LOOKS = 0.2
_RECORD = "ends.jsonl"
_TIMEOUT = re.compile(r"gloo/\S+\] (?:TIMEOUT|Timed out|Application timeout)", re.IGNORECASE)  # a line of gloo
_LAST = 20_000  # characters of a log in which the cause is looked for
_ERROR = "ocrexp: "  # how the error line of a rank begins


def launch_processes(devices: int, worker: list[str], settings: Any, run_dir: Path) -> int:
    """Run `worker` (a script and its arguments) in `devices` processes; returns 0, or 130 / 143 when interrupted.

    What rank 0 prints is shown; the output of each rank is kept in `run_dir/ranks/`. Raises TrainingError with the last
    line of the rank that failed first, ConfigError when there are fewer GPUs than devices.
    """
    # The launcher writes the whole environment, keys and tokens included, beside its logs: not into the run folder.
    with scratch("ranks") as logs:
        arguments = [str(logs / _RECORD), "paddle.distributed.launch", *_arguments(devices, settings, logs), *worker]
        command = [sys.executable, "-m", "ocrexp.engine.launcher", *arguments]
        # Appended, so that the ranks of a resumed run go on in the same files.
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=(logs / "launcher.log").open("wb"),
            env=owned(_environment(settings, devices)),
            start_new_session=True,  # Ctrl-C reaches this process only, which passes it on once
        )
        forward = _Forward(process)
        before = {
            number: signal.signal(number, forward)
            for number in STOP_SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN  # as nohup has it
        }
        held: list[str] = []
        try:
            held = _follow(process, logs)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if process.poll() is None:
                process.kill()
            _keep_logs(logs, run_dir / "ranks")
        if forward.received is not None:
            _show(held)
            return 128 + forward.received
        if process.returncode:
            ends = read_ends(logs / _RECORD)
            failure = ConfigError if ends and ends[0].code == ConfigError.exit_code else TrainingError
            why = _why(logs, process.returncode, run_dir, settings.dist_timeout_minutes)
            _show(line for line in held if line.strip().removeprefix(_ERROR) not in why)
            raise failure(why)
        _show(held)
        return 0


def _arguments(devices: int, settings: Any, logs: Path) -> list[str]:
    arguments = ["--nproc_per_node", str(devices), "--log_dir", str(logs)]
    if _on_gpu(settings):
        count = gpu_count()
        if count < devices:
            key = option(settings, "devices")
            raise ConfigError(f"{key}={devices}: this machine has {count} GPUs; use {key}=auto for all of them")
    else:
        arguments += ["--backend", "gloo"]
    return [*arguments, *(str(item) for item in settings.launch_args)]


def _environment(settings: Any, devices: int) -> dict[str, str]:
    environment = with_package(dict(os.environ))
    environment.setdefault("GLOG_minloglevel", "2")  # hides the connection notes of each process, which help nobody
    seconds = int(settings.dist_timeout_minutes * 60)
    environment.setdefault("PADDLE_PG_TIMEOUT", str(seconds * 1000))  # of nccl; of gloo see gloo.py
    environment.setdefault("FLAGS_stop_check_timeout", str(seconds))  # of the store through which ranks meet
    cards = checked_devices(settings.devices)
    if not _on_gpu(settings):
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif isinstance(cards, list):
        environment["CUDA_VISIBLE_DEVICES"] = visible_devices(cards, gpu_count())
    cores = available_cores()
    for name in ("OMP_NUM_THREADS", "FLAGS_paddle_num_threads"):
        if environment.get(name) == str(cores):  # set for one process: each rank gets its share of the cores
            environment[name] = str(max(1, cores // devices))
    return environment


def _on_gpu(settings: Any) -> bool:
    if settings.device == "cpu":
        return False
    return gpu_count() > 0 or str(settings.device).startswith("gpu")


class _Forward:
    """Passes the first signal on to the ranks, which save and leave; the second ends the launcher and them."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.received: int | None = None
        self._process = process

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.received is not None:
            self._process.terminate()
            return
        self.received = number
        if number == signal.SIGHUP:
            leave_terminal()
        for pid in _children(self._process.pid):
            os.kill(pid, number)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def _follow(process: subprocess.Popen[bytes], logs: Path) -> list[str]:
    """Show what rank 0 prints until the processes have ended.

    Returns the error lines at the end of its output, which are not shown: the caller's error may repeat them.
    """
    shown: IO[bytes] | None = None
    rest, held = "", []
    while True:
        ended = process.poll() is not None
        path = logs / "workerlog.0"
        if shown is None and path.exists():
            shown = path.open("rb")
        if shown is not None and (text := shown.read()):
            *lines, rest = (rest + text.decode(errors="replace")).split("\n")
            for line in lines:
                held.append(f"{line}\n")
                if not line.startswith(_ERROR):
                    _show(held)
                    held = []
            if rest and not rest.startswith(_ERROR[: len(rest)]):  # a part of a line, as of the progress bar
                _show([*held, rest])
                rest, held = "", []
        if ended:
            break
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if shown is not None:
        shown.close()
    return [*held, f"{rest}\n"] if rest else held


def _show(lines: Iterable[str]) -> None:
    sys.stderr.write("".join(lines))
    sys.stderr.flush()


def _keep_logs(logs: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in logs.glob("workerlog.*"):
        with path.open("rb") as source, (target / f"rank{path.suffix}.log").open("ab") as kept:
            shutil.copyfileobj(source, kept)


def _why(logs: Path, code: int, run_dir: Path, timeout_minutes: float = 0.0) -> str:
    """The rank that failed, why, where its output is, and how the run is resumed where it can be.

    The cause is a rank that has waited `timeout_minutes` for another one, unless a rank was killed; else the signal
    that killed the first rank to end, else the error line of a rank, else the last line of the first log to end.
    """
    ends = [end for end in read_ends(logs / _RECORD) if end.code]
    kept = run_dir / "ranks"
    killed = bool(ends) and ends[0].code == -signal.SIGKILL
    for path in [] if killed else sorted(logs.glob("workerlog.*")):
        if _TIMEOUT.search(path.read_text(errors="replace")[-_LAST:]):  # gloo raises, or ends the process (SIGABRT)
            return (
                f"rank {path.suffix[1:]}: waited longer than trainer.dist_timeout_minutes={timeout_minutes:g} for "
                f"another process; raise it where machines are suspended or processes differ in speed "
                f"(all output: {kept}){_resume_with(run_dir)}"
            )
    if ends and ends[0].code < 0:
        own = kept / f"rank{Path(ends[0].log).suffix}.log"
        how = f"killed by {describe_signal(-ends[0].code)}"
        return f"rank {ends[0].rank}: {how} (its output: {own}){_resume_with(run_dir)}"
    if code < 0 and not ends:
        return (
            f"the launcher of the ranks: killed by {describe_signal(-code)} (all output: {kept}){_resume_with(run_dir)}"
        )
    told = []
    for path in sorted(logs.glob("workerlog.*")):
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
        told += [(path, line.removeprefix(_ERROR)) for line in lines[-50:] if line.startswith(_ERROR)]
    told.sort(key=lambda item: ELSEWHERE in item[1])  # a rank that knows the cause comes first
    if told:
        return f"rank {told[0][0].suffix[1:]}: {told[0][1]} (all output: {kept})"
    first = [logs / end.log for end in ends[:1]]
    for path in [*first, *sorted(logs.glob("workerlog.*")), logs / "launcher.log"]:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return f"{path.name}: {lines[-1]} (exit code {code}; all output: {kept}){_resume_with(run_dir)}"
    return f"paddle.distributed.launch ended with exit code {code} and without a message"


def _resume_with(run_dir: Path) -> str:
    if not any((run_dir / "checkpoints").glob("*.pdstates")):
        return ""
    return f"; Resume with: {command('resume', {'run_dir': run_dir})}"
