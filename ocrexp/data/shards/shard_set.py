"""Training shards: how many samples each has, and local copies of those in use."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.shards.remote import Ahead, RemoteShard
from ocrexp.data.shards.shard_files import shards
from ocrexp.data.shards.shard_index import ShardIndex
from ocrexp.data.source import counted
from ocrexp.errors import DataError
from ocrexp.files import write_json

log = logging.getLogger(__name__)

_KEEP_EVERY = 8  # shards that are counted while training
_AT_ONCE = 16  # requests for the states of remote shards


class ShardSet:
    """Shards in their order.

    Args:
        paths: of the files, or of the copies of remote shards.
        cache: folder in which the numbers of samples are kept, so that the next start does not count again; None: they
            are not kept.
    """

    def __init__(self, paths: Sequence[Path], cache: Path | None = None) -> None:
        self.paths = list(paths)
        names = json.dumps([shards.name(path) for path in paths])
        name = hashlib.sha256(names.encode()).hexdigest()[:20]
        self._file = None if cache is None else cache / "counts" / f"{name}.json"
        self._known: dict[str, dict[str, Any]] | None = None  # by shards' names, from earlier starts
        self._stamps: dict[int, str] = {}
        self._new = 0
        self._facts: dict[int, dict[str, Any]] = {}
        self._ahead = Ahead()
        self._used: dict[int, list[Path]] = {}
        self._counting = False

    def __len__(self) -> int:
        return len(self.paths)

    def count(self, shard: int) -> int:
        """How many samples a shard has, by its number. Raises DataError if it cannot be read."""
        if shard not in self._facts:
            self._facts[shard] = self._counted(shard)
            if not self._counting:  # in the middle of training: `lines` have been reported
                for what, (count, where) in self._facts[shard].get("faults", {}).items():
                    log.warning("train: %d %s: %s", count, what, where)
        return int(self._facts[shard]["samples"])

    def _counted(self, shard: int) -> dict[str, Any]:
        """What is known of a shard: from an earlier count of the same file, else from its headers."""
        path = self.paths[shard]
        stamp = self._stamps.pop(shard) if shard in self._stamps else _stamp(path)
        if self._known is None:
            self._known = _kept(self._file)
        facts = self._known.get(shards.name(path))
        if facts is not None and facts.get("stamp") == stamp:
            return facts
        self.bring([shard])
        self._new += 1
        facts = {**_facts(shards.index(path), shards.name(path)), "stamp": stamp}
        if not self._counting and self._new >= max(_KEEP_EVERY, len(self._facts) // 10):
            self._keep()
        return facts

    def count_all(self) -> npt.NDArray[np.int64]:
        """The numbers of samples of all shards, from their headers or from an earlier count of the same files."""
        began = time.perf_counter()
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # one request over the network each
            self._stamps = dict(enumerate(pool.map(_stamp, self.paths)))
        self._counting = True
        for shard in range(len(self)):
            self.count(shard)
        self._counting = False
        if self._new:
            log.info("counted the samples of %d shards in %.1f s", self._new, time.perf_counter() - began)
            self._keep()
        return np.array([self._facts[shard]["samples"] for shard in range(len(self))], np.int64)

    def bring(self, wanted: Iterable[int], soon: Iterable[int] = (), reader: int = 0) -> None:
        """Wait for local copies of the `wanted` shards, and start to copy those needed `soon`. Raises DataError.

        `reader`: who reads them, where several do; what each has asked for last is kept."""
        wanted, soon = list(dict.fromkeys(wanted)), list(dict.fromkeys(soon))
        used = [self.paths[shard] for shard in {*wanted, *soon}]
        keep = [*used, *(path for paths in self._used.values() for path in paths)]
        self._ahead.start(self._remote(wanted), keep)
        self._ahead.start(self._remote(soon), keep)
        self._ahead.wait(self._remote(wanted), keep)
        self._used[reader] = used

    def lines(self, split: str) -> list[str]:
        """What the shards counted so far have that cannot be used: a line for each kind."""
        faults: Counter[str] = Counter()
        first: dict[str, list[str]] = {}
        for shard in sorted(self._facts):
            for what, (count, where) in self._facts[shard].get("faults", {}).items():
                faults[what] += count
                first.setdefault(what, []).append(where)
        return [
            line for what in faults for line in counted(f"{split}: {faults[what]} {what}", first[what], faults[what])
        ]

    def digest(self) -> str:
        """SHA-256 over the shards' file names and what is known of their contents: the size of a local one, the
        number of samples where they are counted."""
        known = []
        for shard, path in enumerate(self.paths):
            size = None if shards.remote(path) else path.stat().st_size
            known.append([path.name, size, self._facts.get(shard, {}).get("samples")])
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def _remote(self, wanted: Iterable[int]) -> list[RemoteShard]:
        return [remote for shard in wanted if (remote := shards.remote(self.paths[shard])) is not None]

    def _keep(self) -> None:
        """Write what is known for the next start."""
        self._new = 0
        if self._file is not None:
            known = {shards.name(self.paths[shard]): facts for shard, facts in self._facts.items()}
            with suppress(OSError):  # counted again the next time
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._file, _kept(self._file) | known, indent=None)  # other ranks count other shards


def _facts(index: ShardIndex, name: str) -> dict[str, Any]:
    faults = {what: (count, f"{name}: {index.first[what]}") for what, count in index.faults.items()}
    if index.damage is not None:
        what, offset = index.damage
        faults["shard(s) damaged, what follows is skipped"] = (1, f"{name}: byte {offset}: {what}; copy it again")
    return {"samples": len(index.samples), **({"faults": faults} if faults else {})}


def _stamp(path: Path) -> str:
    """What changes with a shard's content. Raises DataError if it does not exist."""
    if (remote := shards.remote(path)) is not None:
        return json.dumps(remote.state(), sort_keys=True)
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from None
    return f"{status.st_size} {status.st_mtime_ns}"


def _kept(file: Path | None) -> dict[str, dict[str, Any]]:
    """What was counted earlier, by the names of shards."""
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(found, dict) and all(
        isinstance(facts, dict) and isinstance(facts.get("samples"), int) and isinstance(facts.get("faults", {}), dict)
        for facts in found.values()
    )
    return found if sound else {}
