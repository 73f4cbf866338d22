"""Checkpoints that survive a kill at any instant, a full disk and damaged bytes.

`checkpoints/NAME.{pdparams,pdopt,pdstates}` with NAME latest, best_accuracy or iter_epoch_N. The first two files are
what `paddle.save` writes of the model's and the optimizer's state, as PaddleOCR's tools read them.

A set is written under a number of its own in `checkpoints/.sets/`, each file to a temporary name, flushed to the disk
and renamed; the states file comes last and holds size and SHA-256 of the other two, so a set is complete exactly when
its states file is there and all sums agree. Only then do `NAME.*` become hard links to it (copies where the file
system has none), one rename each. A few sets of a name stay: a load takes the newest whose sums agree and says which
ones it had to pass over.

The states file (see sealed.py) holds plain values only and cannot run code when it is read. Beside our own fields it
has `epoch`, `global_step` and `best_model_dict`, which PaddleOCR's `.states` files have.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import paddle

from ocrexp.engine.sealed import read_states, seal_states
from ocrexp.errors import CheckpointError

logger = logging.getLogger(__name__)

LATEST, BEST = "latest", "best_accuracy"
PARTS = ("pdparams", "pdopt")
STATES = "pdstates"


@dataclass(frozen=True)
class CheckpointSet:
    """A verified set: where its files are and what its states say."""

    name: str
    stem: Path
    states: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps made when it was saved."""
        return int(self.states["global_step"])

    def path(self, suffix: str) -> Path:
        """One of the three files."""
        return _file(self.stem, suffix)


class CheckpointStore:
    """The folder `checkpoints` of a run. `keep_sets` sets of each of `latest` and `best_accuracy` stay on disk."""

    def __init__(self, run_dir: Path, keep_sets: int = 2) -> None:
        self.folder = run_dir / "checkpoints"
        self.keep_sets = keep_sets
        self._sets = self.folder / ".sets"

    def save(self, name: str, weights: dict[str, Any], optimizer: dict[str, Any], states: dict[str, Any]) -> None:
        """Write a set. Raises OSError (a full disk, say); the sets that were there before are then untouched."""
        self._sets.mkdir(parents=True, exist_ok=True)
        for leftover in self._sets.glob("*.tmp"):
            leftover.unlink(missing_ok=True)
        serial = max((_serial(path) for path in self._sets.iterdir()), default=0) + 1
        stem = self._sets / f"{name}.{serial:06d}"
        written: list[Path] = []
        try:
            sums = {}
            for suffix, content in zip(PARTS, (weights, optimizer), strict=True):
                path = _file(stem, suffix)
                sums[suffix] = _write(path, partial(_paddle_save, content))
                written.append(path)
            sealed = seal_states({**states, "serial": serial, "files": sums})
            _write(_file(stem, STATES), lambda temporary: temporary.write_bytes(sealed))
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise
        _sync_folder(self._sets)
        self._publish(name, stem)
        self._prune(name)

    def keep(self, name: str) -> None:
        """Publish the present set of `latest` under another name as well, where it stays."""
        self._publish(name, self.folder / LATEST)

    def load(self, name: str) -> CheckpointSet | None:
        """The newest set of a name whose sums agree, None if there never was one.

        Logs which damaged ones it skipped. Raises CheckpointError if all are damaged.
        """
        found = self._candidates(name)
        for stem, states, problem in found:
            reason = problem or _compare(stem, states)
            if reason is None:
                if stem is not found[0][0]:
                    logger.warning(
                        "using the previous valid checkpoint of %s, saved at step %s", name, states["global_step"]
                    )
                return CheckpointSet(name, stem, states)
            logger.warning("checkpoint %s is skipped: %s", _shown(stem), reason)
        if found:
            raise CheckpointError(
                f"{self.folder / name}.*: all versions are damaged (see the lines above); restore the files from a copy"
            )
        return None

    def load_for_resume(self) -> CheckpointSet:
        """The newest valid checkpoint from which a run can resume: `latest`, else the newest `iter_epoch_N`.

        Raises CheckpointError with the advice when there is none.
        """
        names = [LATEST]
        names += sorted(
            {path.stem for path in self.folder.glob(f"iter_epoch_*.{STATES}")}, key=_epoch_number, reverse=True
        )
        for name in names:
            try:
                found = self.load(name)
            except CheckpointError:
                continue
            if found is not None:
                if name != LATEST:
                    logger.warning("resuming from %s, saved at step %d", name, found.step)
                return found
        best = _file(self.folder / BEST, "pdparams")
        hint = f"; start a new run with model.pretrained={best}" if best.exists() else ""
        raise CheckpointError(f"{self.folder}: contains no valid {LATEST}.* to resume from{hint}")

    def _candidates(self, name: str) -> list[tuple[Path, dict[str, Any], str | None]]:
        """Sets of a name as (stem, states, problem), newest first; damaged ones where their number puts them."""
        stems = [self.folder / name, *(path.with_suffix("") for path in self._sets.glob(f"{name}.*.{STATES}"))]
        found = []
        for position, stem in enumerate(stems):
            path = _file(stem, STATES)
            if not path.exists():
                continue
            try:
                states, problem = read_states(path), None
                serial = int(states["serial"])
            except CheckpointError as error:
                states, problem = {}, str(error)
                serial = _serial(path) if position else 2**62  # unreadable: say so first
            found.append((serial, -position, stem, states, problem))
        found.sort(key=lambda item: item[:2], reverse=True)
        return [item[2:] for item in found]

    def _publish(self, name: str, stem: Path) -> None:
        for suffix in (*PARTS, STATES):
            _link(_file(stem, suffix), _file(self.folder / name, suffix))
        _sync_folder(self.folder)

    def _prune(self, name: str) -> None:
        complete = sorted(self._sets.glob(f"{name}.*.{STATES}"), key=_serial)
        kept = {_serial(path) for path in complete[-self.keep_sets :]}
        for path in self._sets.glob(f"{name}.*"):
            if _serial(path) not in kept:
                path.unlink(missing_ok=True)


def _write(path: Path, write: Callable[[Path], object]) -> dict[str, Any]:
    """Write a file whole, or not at all; returns its size and SHA-256."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            digest = _sha256(file)
            os.fsync(file.fileno())
        size = temporary.stat().st_size
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return {"sha256": digest, "bytes": size}


def _paddle_save(content: dict[str, Any], path: Path) -> None:
    paddle.save(content, str(path))


def _link(source: Path, target: Path) -> None:
    """Make `target` another name of `source` in one rename."""
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Renames are on the disk only when their folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _compare(stem: Path, states: dict[str, Any]) -> str | None:
    """What is wrong with a set's files; None if nothing is."""
    for suffix in PARTS:
        reason = compare_file(_file(stem, suffix), states["files"][suffix])
        if reason is not None:
            return f"{_file(stem, suffix).name} {reason}"
    return None


def compare_file(path: Path, expected: dict[str, Any]) -> str | None:
    """What is wrong with a file of a set, by the size and SHA-256 in its states; None if nothing is."""
    if not path.exists():
        return "is missing"
    size = path.stat().st_size
    if size != expected["bytes"]:
        return f"is truncated or corrupted ({size} bytes, expected {expected['bytes']})"
    with path.open("rb") as file:
        return None if _sha256(file) == expected["sha256"] else "is corrupted (checksum mismatch)"


def _sha256(file: io.BufferedReader) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _file(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")


def _shown(stem: Path) -> str:
    return f"{stem.parent.name}/{stem.name}" if stem.parent.name == ".sets" else stem.name


def _serial(path: Path) -> int:
    """The number in `NAME.000012.pdparams`; 0 if there is none."""
    parts = path.name.split(".")
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else 0


def _epoch_number(name: str) -> int:
    number = name.rpartition("_")[2]
    return int(number) if number.isdigit() else -1
