"""One job of a sweep: a process of its own, its outcome in `status.json`, and nothing done twice.

A process a job keeps seeds, memory and environment of one job out of the next, whatever launcher runs it, and a job
that the system kills takes no other with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ocrexp.command_line import typed
from ocrexp.config.frozen import JobInfo, write_job
from ocrexp.engine.devices import process_count
from ocrexp.engine.status import DONE, FAILED, INTERRUPTED, RUNNING, read_status, write_status
from ocrexp.errors import ConfigError, OcrexpError, printable
from ocrexp.lock import LockedError
from ocrexp.processes import STOP_SIGNALS, describe_signal, leave_terminal, owned
from ocrexp.runs.fit import train_in, worker_command
from ocrexp.runs.folder import locked
from ocrexp.runs.grid import difference
from ocrexp.runs.resuming import withdraw
from ocrexp.runs.state import NOT_RUN, RunState, has_checkpoint, read_state
from ocrexp.yaml_text import read_config

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_sweep_job(config: DictConfig, run_dir: Path, hydra: DictConfig) -> float | None:
    """Train one job unless its folder says that it is done; returns its best metric as the sweeper expects it."""
    varied = _varied([str(item) for item in hydra.overrides.task], Path(hydra.sweep.dir))
    info = JobInfo(
        name=", ".join(varied) or f"job {hydra.job.num}",
        group=Path(hydra.sweep.dir).name,
        number=int(hydra.job.num),
        overrides=varied,
    )
    label = printable(f"job {info.number} ({', '.join(info.overrides) or 'defaults'})")
    state = read_state(run_dir)
    try:
        with locked(run_dir):
            return _train(config, run_dir, hydra, info, state, label)
    except LockedError as error:
        print(f"ocrexp: {label} is skipped: {printable(str(error))}", file=sys.stderr, flush=True)
        return None


def _train(
    config: DictConfig, run_dir: Path, hydra: DictConfig, info: JobInfo, state: RunState, label: str
) -> float | None:
    """The job in its folder, which is locked; `state` is what an earlier attempt has left there."""
    resumable = False
    if state.state != NOT_RUN:
        _same_configuration(run_dir, config, label)
        if state.state == DONE:
            print(f"ocrexp: {label} is finished and is not run again", flush=True)
            return objective(state.values.get("best_value"), hydra.get("sweeper"))
        resumable = has_checkpoint(run_dir)
    withdraw(run_dir)  # what a killed resume of this job alone wanted to change
    write_job(run_dir, config, info)
    write_status(run_dir, state=RUNNING)  # what an earlier attempt failed of is no longer true
    before = "" if state.state == NOT_RUN else f"{printable(str(state))}; "
    print(f"ocrexp: {label} {before}{'resumes' if resumable else 'starts'} in {printable(str(run_dir))}", flush=True)
    code, stop = _run(run_dir, config, resumable, in_parallel="Basic" not in str(hydra.launcher._target_))
    status = _outcome(run_dir, code, stop)
    if code:
        why = f": {status['error']}" if status["error"] else ""
        print(f"ocrexp: {label} {status['state']}{printable(why)}", file=sys.stderr, flush=True)
    if stop is not None:
        fix = f"the same command with {typed('train', 'sweep_dir', hydra.sweep.dir)} resumes it"
        print(f"ocrexp: the sweep stops here; {fix}", file=sys.stderr, flush=True)
        sys.exit(128 + stop)
    return objective(None if code else status.get("best_value"), hydra.get("sweeper"))


def objective(best: float | None, sweeper: DictConfig | None) -> float | None:
    """The best metric in the direction in which the sweeper searches.

    Higher metrics are better, while the sweepers of Optuna, Ax and Nevergrad minimize unless told otherwise: they get
    the negative value then. To a sweeper that searches, a failed job counts as metric 0, the worst one: without a
    number it would end the search.
    """
    minimizes = _minimizes(sweeper)
    if minimizes is None:
        return best
    value = best or 0.0
    return -value if minimizes else value


def _minimizes(sweeper: DictConfig | None) -> bool | None:
    """Whether the sweeper looks for the smallest value; None: it does not look for any (a grid)."""
    from omegaconf import OmegaConf

    if sweeper is None or "BasicSweeper" in str(OmegaConf.select(sweeper, "_target_")):
        return None
    direction = OmegaConf.select(sweeper, "direction")  # Optuna
    if OmegaConf.is_list(direction):
        direction = direction[0] if direction else None
    if direction is not None:
        return "min" in str(direction).lower()
    if (maximize := OmegaConf.select(sweeper, "optim.maximize")) is not None:  # Nevergrad
        return not maximize
    return bool(OmegaConf.select(sweeper, "ax_config.experiment.minimize", default=False))


def _run(run_dir: Path, config: DictConfig, resume: bool, in_parallel: bool) -> tuple[int, int | None]:
    """Train a prepared folder; returns the exit code, and the signal that told the sweep to stop."""
    if process_count(config.trainer.devices) > 1:
        try:
            code = train_in(run_dir, config, resume=resume)
        except OcrexpError as error:  # in status.json; the other jobs go on
            return error.exit_code, None
        return code, code - 128 if code > 128 else None
    command = [sys.executable, *worker_command(run_dir, resume)]
    # A launcher may run jobs in threads; the kernel would end a job with the thread that started it.
    in_main_thread = threading.current_thread() is threading.main_thread()
    environment = owned(dict(os.environ)) if in_main_thread else None
    if not in_parallel:
        return wait_for(subprocess.Popen(command, start_new_session=True, env=environment))
    with (run_dir / "console.log").open("ab") as console:  # several progress bars on one screen help nobody
        return wait_for(
            subprocess.Popen(
                command, stdout=console, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            ),
        )


def wait_for(process: subprocess.Popen[bytes]) -> tuple[int, int | None]:
    """The exit code of a job's process, and the first signal that came meanwhile.

    Signals are passed on, so that the job saves and leaves; its session is its own, so that it gets each of them once.
    """
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)
        if number == signal.SIGHUP:
            leave_terminal()
        process.send_signal(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                before[number] = signal.signal(number, pass_on)
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code, received[0] if received else None


def _outcome(run_dir: Path, code: int, stop: int | None) -> dict[str, Any]:
    """The job's status, completed where its process could not write it itself."""
    status = read_status(run_dir) or {}
    if code and status.get("state") not in (FAILED, INTERRUPTED):
        if stop is not None:
            write_status(run_dir, state=INTERRUPTED, error="stopped before it could save")
        else:
            how = f"was killed by {describe_signal(-code)}" if code < 0 else f"ended with exit code {code}"
            where = f"the end of {run_dir / 'train.log'} may tell why"
            write_status(run_dir, state=FAILED, error=f"its process {how}; {where}")
        status = read_status(run_dir) or {}
    return {"state": None, "error": None, **status}


def _varied(overrides: list[str], sweep_dir: Path) -> list[str]:
    """Those of a job's overrides that differ between the jobs, as the sweep's own record tells; all without one."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:  # the grid sweeper writes it, others do not; a killed one may have written a part
        asked = read_config((sweep_dir / "multirun.yaml").read_bytes())["hydra"]["overrides"]["task"]
    except (OSError, ValueError, LookupError, TypeError):
        return overrides
    parsed = OverridesParser.create().parse_overrides([str(item) for item in asked])
    swept = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    return [item for item in overrides if item.partition("=")[0] in swept]


def _same_configuration(run_dir: Path, config: DictConfig, label: str) -> None:
    """Refuse to mix two experiments in one folder."""
    if (found := difference(run_dir, config)) is not None:
        raise ConfigError(
            f"{label}: {run_dir} contains another configuration ({found}); choose another sweep_dir for this sweep"
        )
