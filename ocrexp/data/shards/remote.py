"""Remote shards: whole copies in a folder of the cache, of which only the newest are kept.

A shard is copied from its beginning to its end, so any file system of fsspec works. All copies together have a size
limit, so the data may be larger than the disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ocrexp.errors import DataError
from ocrexp.files import replacing, write_text
from ocrexp.folders import remove_leftovers

log = logging.getLogger(__name__)
T = TypeVar("T")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::|://)")
_TRIES = 4
_WAIT = 1.0  # seconds after the first failure; doubled after each
_QUERY = re.compile(r"\?[^\s'\"]*")  # may be a secret
_STATES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created", "size")
_AT_ONCE = 4  # downloads of a process ahead of their use
_COPIES = "copies"
_LONGEST_NAME = 120


def is_url(name: str) -> bool:
    """Whether a name is a URL, not a path."""
    return _URL.match(name) is not None


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it. Raises DataError if a package is missing."""
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        return system, str(path)
    except ImportError as error:
        raise DataError(f"{_public(url)}: needs a package ({error}); run pip install 'ocrexp[shards]'") from None
    except ValueError as error:  # an unknown protocol
        raise DataError(f"{_public(url)}: cannot be opened ({error}); correct the URL") from None


def _public(url: str) -> str:
    """A URL without what may be a secret: user, password and query."""
    return re.sub(r"(?<=://)[^/@]*@", "", url.partition("?")[0])


def _hidden(error: Exception) -> Exception:
    """What has failed: fsspec's HTTP raises FileNotFoundError for a server that does not answer, too, with the reason
    as its cause. Of other file systems the FileNotFoundError is true."""
    cause = error.__cause__
    network = isinstance(cause, TimeoutError) or type(cause).__module__.startswith("aiohttp.")
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception) or not network:
        return error
    return error if getattr(cause, "status", None) in (404, 410) else cause  # the status of ClientResponseError


def _persistently(url: str, action: Callable[[], T]) -> T:
    """Do what the network may interrupt, up to four times. Raises DataError."""
    shown = _public(url)
    wait = _WAIT
    for turn in range(1, _TRIES + 1):
        try:
            return action()
        except DataError:
            raise
        except Exception as error:  # each file system has errors of its own
            cause = _hidden(error)
            if isinstance(cause, FileNotFoundError):
                raise DataError(f"{shown}: does not exist; check the URL") from error
            what = f"{type(cause).__name__}: {_QUERY.sub('', str(cause))}"
            if turn == _TRIES:
                raise DataError(
                    f"{shown}: cannot be read, tried {_TRIES} times ({what}); check the URL and the network"
                ) from error
            log.warning("%s: %s; trying again in %.0f s", shown, what, wait)
            time.sleep(wait)
            wait *= 2
    raise AssertionError("the last try returns or raises")


def matching(url: str) -> list[str]:
    """The URLs that a pattern stands for, in order of their names. Raises DataError if they cannot be listed."""
    system, path = file_system(url)
    protocol = url.partition("://")[0]
    found = _persistently(url, lambda: sorted(map(str, system.glob(path))))
    return [name if is_url(name) else f"{protocol}://{name}" for name in found]


@dataclass(frozen=True)
class RemoteShard:
    """A shard behind a URL.

    Args:
        url: where it is.
        cache: folder of the copies.
        cache_bytes: limit of all copies together; the least recently used are deleted.
    """

    url: str
    cache: Path
    cache_bytes: int

    @property
    def copy(self) -> Path:
        """Where its copy is, or will be."""
        name = self.url.partition("?")[0].rpartition("/")[2][-_LONGEST_NAME:]
        which = hashlib.sha256(self.url.encode()).hexdigest()[:20]
        return self.cache / _COPIES / f"{which}_{name or 'shard.tar'}"

    def __str__(self) -> str:
        return _public(self.url)

    def fetch(self, used: Iterable[Path] = ()) -> None:
        """Make the copy, unless there is one of what is at the URL now. `used` are copies that must stay.

        Raises DataError if it cannot be read after several tries.
        """
        _persistently(self.url, self._fetch)
        with suppress(OSError):  # another process deletes too; the next copy makes room again
            _make_room(self.cache / _COPIES, self.cache_bytes, {self.copy, *used})

    def state(self) -> dict[str, str]:
        """What the file system knows of the shard: size, time, tag. Raises DataError if there is none, or
        if it cannot be read after several tries."""
        return _persistently(self.url, self._state)

    def _state(self) -> dict[str, str]:
        system, path = file_system(self.url)
        found = system.info(path)
        return {key: str(found[key]) for key in _STATES if found.get(key) is not None}

    def _fetch(self) -> None:
        state = json.dumps(self._state(), sort_keys=True)
        beside = self.copy.with_name(f"{self.copy.name}.json")
        with suppress(OSError):
            if self.copy.is_file() and beside.read_text("utf-8") == state:
                os.utime(self.copy)
                return
        system, path = file_system(self.url)
        try:
            self.copy.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.copy.parent)
            with replacing(self.copy) as temporary:
                system.get_file(path, str(temporary))
                size = json.loads(state).get("size")
                if size is not None and temporary.stat().st_size != int(size):
                    raise ConnectionError(f"received {temporary.stat().st_size} of {size} bytes")
            write_text(beside, state)
        except PermissionError as error:
            raise DataError(
                f"{self.cache}: cannot be written ({error.strerror}); set cache_dir or OCREXP_CACHE to another folder"
            ) from None


def _make_room(folder: Path, most: int, used: set[Path]) -> None:
    """Delete the copies that were used least recently until all together have `most` bytes."""
    found = []
    for path in folder.iterdir():
        with suppress(OSError):
            if path.suffix != ".json" and not path.name.startswith("."):
                status = path.stat()
                found.append((status.st_mtime, path, status.st_size))
    total = sum(size for _, _, size in found)
    for _, path, size in sorted(found):
        if total <= most:
            return
        if path not in used:
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.json").unlink(missing_ok=True)
            total -= size


class Ahead:
    """Downloads in threads, before the shards are needed."""

    def __init__(self) -> None:
        self._running: dict[Path, threading.Thread] = {}
        self._errors: dict[Path, DataError] = {}
        self._slots = threading.Semaphore(_AT_ONCE)
        os.register_at_fork(after_in_child=self._renew)

    def start(self, wanted: Iterable[RemoteShard], used: Iterable[Path]) -> None:
        """Start the downloads that have not started; the copies `used` are kept."""
        keep = set(used)
        for shard in wanted:
            if shard.copy not in self._running:
                thread = threading.Thread(target=self._fetch, args=(shard, keep), daemon=True)
                self._running[shard.copy] = thread
                thread.start()

    def wait(self, wanted: Iterable[RemoteShard], used: Iterable[Path]) -> None:
        """Wait until all of them have a copy. Raises DataError for one that cannot be read."""
        wanted = list(wanted)
        self.start(wanted, used)
        for shard in wanted:
            self._running.pop(shard.copy).join()
            if error := self._errors.pop(shard.copy, None):
                raise error

    def _fetch(self, shard: RemoteShard, used: set[Path]) -> None:
        with self._slots:
            try:
                shard.fetch(used)
            except DataError as error:
                self._errors[shard.copy] = error

    def _renew(self) -> None:
        self._running, self._errors = {}, {}  # a forked process has none of the threads
        self._slots = threading.Semaphore(_AT_ONCE)
