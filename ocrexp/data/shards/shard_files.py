"""Shards by their names: patterns, local files and copies of remote ones, and what is read of them, from any process.

An image in a shard has a path, `<shard>.tar/<name>`, so that whatever reads images by path reads these too.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from ocrexp.data.shards.remote import RemoteShard
from ocrexp.data.shards.shard_index import ShardIndex, Span, index_shard
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

SUFFIX: Final = ".tar"
_Stamp = tuple[int, int, int]  # size, time of the last change, inode
_BETWEEN = f"{SUFFIX}/"
_SAMPLES_KEPT = 200_000  # of the indices that a process holds; about 400 bytes each
_COMPRESSED = re.compile(r"\.(?:tar\.\w+|tgz|tbz2?|txz)$")
GONE = "shard has changed since its samples were counted"


class _Shards:
    """The indices of shards that this process has read last, and where copies of remote shards come from."""

    def __init__(self) -> None:
        self._indices: OrderedDict[Path, tuple[_Stamp | None, ShardIndex]] = OrderedDict()
        self._remote: dict[Path, RemoteShard] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._renew)

    def know(self, shard: RemoteShard) -> None:
        """Register a remote shard: from now on it is read by the path of its copy."""
        self._remote[shard.copy] = shard

    def remote(self, path: Path) -> RemoteShard | None:
        """The remote shard of which a path is the copy; None for a local shard."""
        return self._remote.get(path)

    def name(self, path: Path) -> str:
        """What a shard is called in messages: its path, or its URL."""
        return str(self._remote.get(path, path))

    def index(self, path: Path) -> ShardIndex:
        """The samples of a shard. Raises DataError if it cannot be read."""
        try:
            status = os.stat(path)  # noqa: PTH116  # for each sample
            stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = None
        with self._lock:
            known = self._indices.get(path)
            if known is not None and (known[0] == stamp or (stamp is None and path in self._remote)):
                self._indices.move_to_end(path)
                return known[1]
        found = self._read_index(path)
        with self._lock:
            self._indices[path] = (stamp, found)
            while sum(len(one.samples) for _, one in self._indices.values()) > _SAMPLES_KEPT and len(self._indices) > 1:
                self._indices.popitem(last=False)
        return found

    def read(self, path: Path, span: Span) -> bytes:
        """What is in a member. Raises UnusableSample if the file has become shorter, OSError if it cannot be read."""
        descriptor = self._open(path)
        try:
            data = os.pread(descriptor, span.size, span.offset)
        finally:
            os.close(descriptor)
        if len(data) < span.size:
            raise UnusableSample(GONE)
        return data

    def _open(self, path: Path) -> int:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a named pipe does not block
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            if path not in self._remote:
                raise
        self._remote[path].fetch()  # another process needed the space
        return os.open(path, flags)

    def _read_index(self, path: Path) -> ShardIndex:
        try:
            descriptor = self._open(path)
            try:
                length = os.fstat(descriptor).st_size
                return index_shard(lambda offset, size: os.pread(descriptor, size, offset), length)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DataError(
                f"{self.name(path)}: cannot be read ({error.strerror}); check the file and its permissions"
            ) from None

    def _renew(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it


shards = _Shards()


def is_member(path: Path) -> bool:
    """Whether a path names an image in a shard."""
    name = str(path)
    place = name.find(_BETWEEN)
    return place > 0 and not Path(name[: place + len(SUFFIX)]).is_dir()


def read_member(path: Path, most: int | None = None) -> bytes | None:
    """The bytes of the image file that a path in a shard names, at most the first `most`; None if the shard has no such
    image.

    Raises UnusableSample or OSError.
    """
    try:
        shard, image = _image(path)
    except DataError as error:
        raise UnusableSample(f"shard cannot be read ({error})") from None
    if image is not None and most is not None:
        image = image._replace(size=min(image.size, most))
    return None if image is None else shards.read(shard, image)


def has_image(path: Path) -> bool:
    """Whether a path names an image that a shard has. Raises DataError if the shard cannot be read."""
    return is_member(path) and _image(path)[1] is not None


def _image(path: Path) -> tuple[Path, Span | None]:
    """The shard of a path, and where the image is in it. Raises DataError if the shard cannot be read."""
    head, _, name = str(path).partition(_BETWEEN)
    shard = Path(f"{head}{SUFFIX}")
    index = shards.index(shard)
    number = index.images.get(name)
    return shard, None if number is None else index.samples[number].image


def refuse_compressed(name: str) -> None:
    """Raises DataError for a compressed shard: its samples cannot be read one by one."""
    if _COMPRESSED.search(name):
        raise DataError(f"{name}: is compressed, which images are already; decompress it, for example with gunzip")
