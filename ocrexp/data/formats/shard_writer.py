"""Writes WebDataset shards in several processes, with the same content for any number of them.

Which samples are in which shard is decided by the sizes of their files, before these are read; a process then writes a
whole shard.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import tarfile
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path, PurePosixPath
from typing import Any

from ocrexp.data.formats.entries import Entry, Region
from ocrexp.data.formats.shapes import as_pairs
from ocrexp.data.formats.writer import Writer, content, suffix_of
from ocrexp.errors import DataError
from ocrexp.processes import begin_in_pool
from ocrexp.types import UnusableSample

_HEADERS = 1024  # bytes of the headers of a sample
_Lost = list[tuple[int, str]]  # place in the shard, and why its image cannot be read


class ShardWriter(Writer):
    """Writes `PART-000000.tar`, …: an image and a text, or regions in JSON, per sample.

    Samples are numbered as they come; one whose image cannot be read leaves its number out.
    """

    kinds = ("det", "rec")
    has_language = True
    attributes = None
    own_folder = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._samples: list[tuple[int, Entry]] = []  # of the shard that is being collected
        self._open: tarfile.TarFile | None = None  # a shard with images in memory is written here
        self._number = self._count = self._size = 0
        self._pool: ProcessPoolExecutor | None = None
        self._running: deque[tuple[list[tuple[int, Entry]], Future[_Lost]]] = deque()

    def put(self, entry: Entry) -> bool:
        """One sample."""
        if entry.image is None:
            self.account.drop("image that does not exist", f"{entry.source}: {entry.name}")
            return False
        if self._size > self.options.shard_bytes:
            self._finish()
        number, self._count = self._count, self._count + 1
        if isinstance(entry.image, Path) and self._open is None and entry.image.is_file():
            self._samples.append((number, entry))
            self._size += entry.image.stat().st_size + _HEADERS
            return True
        data = content(entry)
        if self._open is None:
            self._open = tarfile.open(self._next_path(), "w")  # noqa: SIM115
            for earlier in self._samples:
                self._add(*earlier)
            self._samples = []
        self._size += len(data) + _HEADERS
        _add_sample(self._open, number, entry, data)
        return True

    def close(self) -> None:
        """All shards are complete."""
        self._finish()
        while self._running:
            self._wait()
        if self._pool is not None:
            self._pool.shutdown()

    def cancel(self) -> None:
        """End the processes."""
        if self._open is not None:
            self._open.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self) -> None:
        """The shard that is being collected has all its samples."""
        self._size = 0
        if self._open is not None:
            self._open.close()
            self._open = None
            return
        if not self._samples:
            return
        samples, self._samples = self._samples, []
        path = self._next_path()
        if self.options.workers == 1:
            self._lose(samples, write_shard(path, samples))
            return
        if self._pool is None:
            parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(self.options.workers, context, begin_in_pool, (parent,))
        while len(self._running) > self.options.workers:
            self._wait()
        self._running.append((samples, self._pool.submit(write_shard, path, samples)))

    def _wait(self) -> None:
        samples, future = self._running.popleft()
        try:
            self._lose(samples, future.result())
        except BrokenProcessPool:
            raise DataError("a process that writes shards was killed (out of memory?); lower workers") from None

    def _lose(self, samples: list[tuple[int, Entry]], lost: _Lost) -> None:
        self.lost += [(samples[place][1], why) for place, why in lost]

    def _add(self, number: int, entry: Entry) -> None:
        assert self._open is not None
        try:
            _add_sample(self._open, number, entry, content(entry))
        except UnusableSample as error:
            self.lost.append((entry, str(error)))

    def _next_path(self) -> Path:
        self._number += 1
        return self.folder / f"{self.split}-{self._number - 1:06d}.tar"


def write_shard(path: Path, samples: list[tuple[int, Entry]]) -> _Lost:
    """Write a whole shard; returns the samples whose images cannot be read."""
    lost: _Lost = []
    with tarfile.open(path, "w") as shard:
        for place, (number, entry) in enumerate(samples):
            try:
                _add_sample(shard, number, entry, content(entry))
            except UnusableSample as error:
                lost.append((place, str(error)))
    return lost


def _add_sample(shard: tarfile.TarFile, number: int, entry: Entry, data: bytes) -> None:
    key = f"{number:09d}"
    suffix = suffix_of(data) or PurePosixPath(entry.name).suffix.lower() or ".jpg"
    _add_member(shard, f"{key}{suffix}", data)
    if entry.regions is None:
        assert entry.text is not None
        _add_member(shard, f"{key}.txt", entry.text.encode())
    else:
        regions = [_region_value(region) for region in entry.regions]
        label = json.dumps({"name": entry.name, "regions": regions}, ensure_ascii=False)
        _add_member(shard, f"{key}.json", label.encode())


def _add_member(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))


def _region_value(region: Region) -> dict[str, Any]:
    text = region.text if region.text is not None else "###" if region.ignored else ""
    value: dict[str, Any] = {"transcription": text, "points": as_pairs(region.points), "difficult": region.ignored}
    if region.language:
        value["language"] = region.language
    return value | region.extra
