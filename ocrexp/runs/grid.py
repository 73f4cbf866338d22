"""A sweep that comes back to its folder: its jobs must be those that are there, which is seen before the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.config.frozen import RESOLVED, read_job
from ocrexp.engine.status import FINISHED
from ocrexp.errors import ConfigError
from ocrexp.lock import LOCK
from ocrexp.runs.choices import as_adapted
from ocrexp.runs.state import read_state
from ocrexp.runs.sweep_table import job_folders
from ocrexp.yaml_text import read_config

OF_THE_SWEEP = ("sweep", "sweep_dir", "launcher")  # nodes and keys that are not part of a run
OVERRIDES = Path(".hydra") / "overrides.yaml"


def check_grid(
    sweep_dir: Path, jobs: Iterable[Sequence[str]], compose_job: Callable[[Sequence[str]], DictConfig]
) -> None:
    """Compare the jobs of a grid, in order, with the job folders that exist.

    A grid may grow at its end. Raises ConfigError, in one line, at the first job that was another one.
    """
    first = True
    nested = {read_job(run_dir).number: run_dir for run_dir in job_folders(sweep_dir)}  # by another hydra.sweep.subdir
    for number, overrides in enumerate(jobs):
        run_dir = nested.get(number, sweep_dir / str(number))
        if not run_dir.is_dir() or all(path.name == LOCK for path in run_dir.iterdir()):
            continue
        if not (run_dir / ".hydra").is_dir():
            raise ConfigError(f"sweep_dir={sweep_dir}: {run_dir} exists and is not a job; choose another sweep_dir")
        if not first and _asked(run_dir) == sorted(overrides):
            continue  # composing takes a while; the first job shows whether the configuration itself has changed
        first = False
        if (found := difference(run_dir, compose_job(overrides))) is not None:
            raise ConfigError(
                f"sweep_dir={sweep_dir}: contains another sweep (job {number} has {found}); choose another sweep_dir"
            )


def first_open(sweep_dir: Path, total: int, count: int) -> list[int]:
    """The numbers of the first `count` jobs of a grid that are not finished."""
    states = {read_job(run_dir).number: read_state(run_dir).state for run_dir in job_folders(sweep_dir)}
    return [number for number in range(total) if states.get(number) not in FINISHED][:count]


def difference(run_dir: Path, config: DictConfig) -> str | None:
    """How a run's own configuration differs from this one (`optim.lr=0.001, now 0.01`); None if it does not."""
    if not (run_dir / RESOLVED).is_file():
        return None
    try:
        before = _flat(read_config((run_dir / RESOLVED).read_bytes()))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{run_dir / RESOLVED}: {reason}; restore it from a copy, or choose another sweep_dir"
        ) from None
    now = _flat(OmegaConf.to_container(as_adapted(run_dir, config), resolve=True))
    for key in sorted(key for key in {*before, *now} if key.partition(".")[0] not in OF_THE_SWEEP):
        if before.get(key) != now.get(key):
            return f"{key}={before.get(key)}, now {now.get(key)}"
    return None


def _asked(run_dir: Path) -> list[str] | None:
    """The overrides that a job was composed with, sorted; None where Hydra was killed before it had written them."""
    try:
        asked = read_config((run_dir / OVERRIDES).read_bytes())
    except (OSError, ValueError):
        return None
    return sorted(map(str, asked)) if isinstance(asked, list) else None


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(node, dict):
        flat: dict[str, Any] = {}
        for key, value in node.items():
            flat |= _flat(value, f"{prefix}{key}.")
        return flat
    return {prefix[:-1]: node}
