"""The folder of a run or a sweep: made and locked by one process alone, and nothing in it is overwritten."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp import lock
from ocrexp.command_line import command
from ocrexp.config.places import folder_to_write, refused
from ocrexp.errors import ConfigError
from ocrexp.folders import claim_folder, claimed, remove_leftovers
from ocrexp.lock import LOCK, LockedError
from ocrexp.runs.state import has_checkpoint, is_run_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig


def claim_run(folder: Path, *, given: bool, shared: str | None = None) -> Path:
    """Make the folder of a new run and lock it; returns its path.

    Args:
        folder: where the run goes.
        given: whether the user has named it. A default name that is taken gets a number, a given one is refused.
        shared: see `machines`; further machines of the same run join its folder.

    Raises ConfigError, in one line, where the folder holds something, another process uses it or it cannot be made.
    """
    key = f"run_dir={folder}"
    with refused(folder, "run_dir"):
        if not given:
            folder = claim_folder(folder)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not claimed(folder):
                if folder.is_file():
                    raise ConfigError(f"{key}: is a file; choose another folder")
                if shared is None and _filled(folder):
                    raise _exists(folder)
        try:
            lock.acquire(folder / LOCK, key, shared=shared)
        except LockedError:
            raise _exists(folder) from None
    owner = lock.read_owner(folder / LOCK)
    joined = owner is not None and shared is not None and owner.shared == shared and owner.pid != os.getpid()
    if not joined and _filled(folder):  # another run has been here between the look and the lock
        lock.release(folder / LOCK)
        raise _exists(folder)
    return folder_to_write(folder, "run_dir")


def claim_sweep(folder: Path, *, given: bool, shared: str | None = None) -> Path:
    """Make the folder of a sweep, or come back to a given one, and lock it; returns its path.

    `shared`: other processes with the same value may work in the folder as well.

    Raises ConfigError, in one line, where another sweep runs in the folder, it holds something else or cannot be made.
    """
    key = f"sweep_dir={folder}"
    with refused(folder, "sweep_dir"):
        if not given:
            folder = claim_folder(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            if is_run_folder(folder):
                raise ConfigError(f"{key}: this is the folder of a single run; choose another sweep_dir")
        lock.acquire(folder / LOCK, key, shared=shared)
    return folder_to_write(folder, "sweep_dir")


@contextmanager
def locked(run_dir: Path, config: DictConfig | None = None, *, adopt: bool = False) -> Iterator[None]:
    """Hold the lock of an existing run folder, and delete what killed processes have left unfinished in it.

    Args:
        run_dir: the folder.
        config: of a run on several machines, which hold the lock together.
        adopt: whether the process that started this one may hold it: this one takes it over until it ends.

    Raises ConfigError, in one line, where another process trains there or the folder cannot be written.
    """
    shared = None if config is None else machines(config)
    key = f"run_dir={run_dir}"
    with refused(run_dir, "run_dir"):
        lock.acquire(run_dir / LOCK, key, shared=shared, adopt=adopt)
    if shared is None and not adopt:  # ids of processes have no meaning on other machines
        for folder in (run_dir, *(path for path in run_dir.rglob("*") if path.is_dir() and not path.is_symlink())):
            remove_leftovers(folder)
    try:
        yield
    finally:
        lock.release(run_dir / LOCK)


def machines(config: DictConfig) -> str | None:
    """What the machines of one run have in common: where they meet; None for a run on one machine."""
    given = [str(item) for item in config.trainer.launch_args]
    named = dict(itertools.pairwise(given)) | dict(item.split("=", 1) for item in given if "=" in item)
    nodes = named.get("--nnodes") or os.environ.get("PADDLE_NNODES", "1")
    if nodes in ("", "1", "1:1"):
        return None
    meeting = named.get("--master") or os.environ.get("PADDLE_MASTER", "")
    return f"{nodes} machines at {meeting}"


def _filled(folder: Path) -> bool:
    return any(not path.name.startswith(LOCK) and not path.name.startswith(f".{LOCK}") for path in folder.iterdir())


def _exists(folder: Path) -> ConfigError:
    advice = "delete it (it has no checkpoint to resume from), or choose another run_dir"
    if has_checkpoint(folder):
        advice = f"resume it with `{command('resume', {'run_dir': folder})}`, or choose another run_dir"
    owner = lock.read_owner(folder / LOCK)
    if owner is not None and lock.is_held(folder / LOCK):
        advice = f"{owner} is using it; choose another run_dir"
    return ConfigError(f"run_dir={folder}: exists and is not overwritten; {advice}")
