"""The changed configuration of a resume: proposed beside the run's own, and accepted when the run has taken it.

A resume that is refused, by a data set that is not there for example, leaves the run's configuration as it was.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from omegaconf import DictConfig

from ocrexp.config.frozen import FROZEN, RESOLVED, read_resolved, write_config
from ocrexp.config.places import refused
from ocrexp.engine.status import FILENAME
from ocrexp.errors import OcrexpError
from ocrexp.files import write_bytes, write_json

PROPOSED = Path(".hydra") / "resume"
RECORD = Path("resumed.jsonl")  # in .hydra


@contextmanager
def proposed(run_dir: Path, config: DictConfig, changes: Sequence[str]) -> Iterator[None]:
    """Within the block, the processes of a resume read this configuration; see `accept`.

    Where none of them has accepted it, the run's configuration and its status are what they were before.
    Raises ConfigError if nothing can be written.
    """
    status = run_dir / FILENAME
    before = status.read_bytes() if status.is_file() else None
    with refused(run_dir, "run_dir"):
        _propose(run_dir, config, changes)
    try:
        yield
    except OcrexpError:
        if (run_dir / PROPOSED / RESOLVED).is_file() and before is not None:
            with suppress(OSError):  # the disk is full or the folder gone: the error is about that
                write_bytes(status, before)
        raise
    finally:
        withdraw(run_dir)


def _propose(run_dir: Path, config: DictConfig, changes: Sequence[str]) -> None:
    folder = run_dir / PROPOSED
    withdraw(run_dir)
    folder.mkdir()
    entry = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "overrides": list(changes)}
    write_json(folder / RECORD, entry, indent=None)
    write_config(run_dir, config, folder)  # its last file is the resolved configuration: with it, the proposal is whole


def withdraw(run_dir: Path) -> None:
    """Remove a proposal, also one that a killed resume has left. Does nothing if there is none."""
    folder = run_dir / PROPOSED
    if folder.is_dir():
        shutil.rmtree(folder)


def read_proposed(run_dir: Path) -> DictConfig:
    """The resolved configuration to resume with: the proposed one, else the run's own."""
    return read_resolved(run_dir, PROPOSED / RESOLVED if (run_dir / PROPOSED / RESOLVED).is_file() else RESOLVED)


def accept(run_dir: Path) -> Callable[[], None]:
    """Make the proposal the run's own configuration, and record what it changed; returns what undoes it.

    Does nothing, with nothing to undo, if there is no proposal. Raises OSError.
    """
    folder = run_dir / PROPOSED
    if not (folder / RESOLVED).is_file():
        return lambda: None
    kept = {path: path.read_bytes() for name in (FROZEN, RESOLVED) if (path := run_dir / name).is_file()}
    record = run_dir / FROZEN.parent / RECORD
    size = record.stat().st_size if record.is_file() else 0
    (folder / FROZEN).replace(run_dir / FROZEN)  # a resume may have changed it, and the next one starts from there
    (folder / RESOLVED).replace(run_dir / RESOLVED)
    with record.open("a", encoding="utf-8") as file:
        file.write((folder / RECORD).read_text(encoding="utf-8"))
    withdraw(run_dir)

    def undo() -> None:
        for path, content in kept.items():
            write_bytes(path, content)
        with record.open("rb+") as file:
            file.truncate(size)

    return undo
