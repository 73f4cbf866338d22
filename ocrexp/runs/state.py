"""What has become of a run: the one place that everything which shows or continues a run asks.

`status.json` contains the last state that the run itself wrote; a killed run writes nothing, so it stays `running`.
The run folder's lock shows whether its process still runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrexp.command_line import command
from ocrexp.config.frozen import JOB
from ocrexp.engine.status import DONE, FAILED, FILENAME, FINISHED, INTERRUPTED, RUNNING, read_status
from ocrexp.lock import LOCK, is_held

KILLED = f"{INTERRUPTED} (killed)"
NOT_RUN = "not run"
DAMAGED = f"damaged {FILENAME}"


@dataclass(frozen=True)
class RunState:
    """A run's state and the values of its `status.json`.

    `state`: running, done, failed, interrupted, `interrupted (killed)`, `not run` where nothing has been written, or
    `damaged status.json` where that file cannot be read or has no state.
    """

    state: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> int | None:
        """Steps made when the status was last written."""
        step = self.values.get("step")
        return step if isinstance(step, int) else None

    def __str__(self) -> str:
        """`interrupted (killed) at step 12 of 40`, `done at step 30 of 40 (trainer.max_minutes=25 is reached)`."""
        total = self.values.get("total_steps")
        reached = "" if self.step is None else f" at step {self.step}" + (f" of {total}" if total else "")
        reason = self.values.get("reason")
        return self.state + reached + (f" ({reason})" if reason and self.state in FINISHED else "")


def read_state(run_dir: Path) -> RunState:
    """The state of the run in a folder."""
    status = read_status(run_dir)
    held = is_held(run_dir / LOCK)
    if status is None and not (run_dir / FILENAME).is_file():
        return RunState(RUNNING if held else KILLED if (run_dir / LOCK).exists() else NOT_RUN)
    status = status or {}
    state = status.get("state")
    if state is None:
        return RunState(RUNNING if held else DAMAGED, status)
    return RunState(KILLED if state == RUNNING and not held else state, status)


def has_checkpoint(run_dir: Path) -> bool:
    """Whether there is a checkpoint to resume from; the best weights alone are not enough."""
    folder = run_dir / "checkpoints"
    return (folder / "latest.pdstates").is_file() or any(folder.glob("iter_epoch_*.pdstates"))


def is_run_folder(folder: Path) -> bool:
    """Whether a run has been started in the folder."""
    return (folder / JOB).is_file() or (folder / FILENAME).is_file()


def resumable(outputs: Path, limit: int) -> list[tuple[Path, RunState]]:
    """The runs below `outputs` that can be resumed, the latest first."""
    found: list[tuple[Path, RunState]] = []
    for run_dir in sorted(_run_folders(outputs), key=_written, reverse=True):
        state = read_state(run_dir)
        if state.state in (FAILED, INTERRUPTED, KILLED, DAMAGED) and has_checkpoint(run_dir):
            found.append((run_dir, state))
            if len(found) == limit:
                break
    return found


def not_finished(run_dir: Path) -> str | None:
    """One line about a run that is not done, for those who use its files; None if it is done."""
    state = read_state(run_dir)
    if state.state in (DONE, NOT_RUN):
        return None
    advice = f"; resume it with `{command('resume', {'run_dir': run_dir})}`" if state.state != RUNNING else ""
    if state.state == DAMAGED:
        return f"{run_dir / FILENAME}: damaged, so whether this run is finished is not known{advice} to be sure"
    return f"run_dir={run_dir}: this run is not finished ({state}){advice}"


def _run_folders(outputs: Path) -> Iterator[Path]:
    """outputs/NAME/DATE_TIME, and the jobs of sweeps in outputs/sweeps/NAME/DATE_TIME/NUMBER."""
    for pattern in ("*/*", "sweeps/*/*/*"):
        yield from (path.parents[1] for path in outputs.glob(f"{pattern}/{JOB}"))


def _written(run_dir: Path) -> float:
    times = [path.stat().st_mtime for name in (FILENAME, str(JOB)) if (path := run_dir / name).is_file()]
    return max(times, default=0.0)
