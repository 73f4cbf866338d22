"""Reading LMDB folders, from any process.

An entry has a path, `<folder>/image-000000001`, so that whatever reads images by path reads these too.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import threading
from pathlib import Path

from ocrexp.data.lmdb_pages import LmdbDamaged, LmdbFile
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

DATA_FILE = "data.mdb"
_ENTRY = re.compile(r"image-\d{9,}")
# The two meta pages at the beginning of a database, MDB_meta of lmdb's mdb.c on a 64-bit machine: after 16 bytes of
# page header magic, version, address, map size; of two databases (48 bytes each) the page size, which is the first
# one's pad; last page and transaction.
_META = struct.Struct("<16xII16xI92xQQ")
_MAGIC = 0xBEEFC0DE
_PAGE_SIZES = [1 << power for power in range(8, 17)]


class _Databases:
    """The databases that this process has open; those that it forks may read on in them."""

    def __init__(self) -> None:
        self._open: dict[Path, LmdbFile] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._renew)

    def __call__(self, folder: Path) -> LmdbFile:
        """Raises DataError if the folder's file cannot be opened, or is damaged at its beginning."""
        with self._lock:
            if folder not in self._open:
                check_pages(folder / DATA_FILE)
                try:
                    self._open[folder] = LmdbFile(folder / DATA_FILE)
                except (LmdbDamaged, OSError) as error:
                    raise damaged(folder, error) from None
            return self._open[folder]

    def close(self) -> None:
        """Close all; they are opened again when they are asked for."""
        with self._lock:
            for database in self._open.values():
                database.close()
            self._open = {}

    def _renew(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it


def damaged(folder: Path, error: Exception) -> DataError:
    """The error of a folder that cannot be used."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return DataError(f"{folder}: cannot be read as LMDB ({reason}); copy it again, or give another folder")


def check_pages(path: Path) -> None:
    """Raises DataError for a database file that is shorter than its meta pages state, or has no meta pages."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a named pipe would block
            raise DataError(f"{path}: is not a file; give the folder of an LMDB database")
        with path.open("rb") as file:
            first = _meta(file.read(_META.size))
            file.seek(first[0] if first else 0)
            second = _meta(file.read(_META.size))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions and its disk") from None
    if first is None or second is None:
        raise DataError(f"{path}: is not an LMDB database ({status.st_size} bytes, no header); copy it again")
    page_size, last_page, _ = max(first, second, key=lambda meta: meta[2])  # written in turn
    needed = (last_page + 1) * page_size
    if status.st_size < needed:
        raise DataError(
            f"{path}: truncated, it has {status.st_size} bytes and its header states {needed}; copy it again"
        )


def _meta(data: bytes) -> tuple[int, int, int] | None:
    """Page size, last page and transaction of a meta page; None for anything else."""
    if len(data) < _META.size:
        return None
    magic, _, page_size, last_page, transaction = _META.unpack(data)
    return (page_size, last_page, transaction) if magic == _MAGIC and page_size in _PAGE_SIZES else None


databases = _Databases()


def is_entry(path: Path) -> bool:
    """Whether a path names an image in an LMDB folder."""
    return _ENTRY.fullmatch(path.name) is not None and (path.parent / DATA_FILE).is_file()


def read_entry(path: Path) -> bytes | None:
    """The bytes of the image file that an entry's path names; None if the database has no such key.

    Raises DataError if the folder cannot be opened, UnusableSample if the entry lies on a damaged page.
    """
    try:
        return databases(path.parent).get(path.name.encode())
    except LmdbDamaged as error:
        raise UnusableSample(f"LMDB entry cannot be read ({error})") from None
