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
from typing import TYPE_CHECKING

from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

if TYPE_CHECKING:
    import lmdb

DATA_FILE = "data.mdb"
_ENTRY = re.compile(r"image-\d{9,}")
# The two meta pages at the beginning of a database, MDB_meta of lmdb's mdb.c on a 64-bit machine: after 16 bytes of
# page header magic, version, address, map size; of two databases (48 bytes each) the page size, which is the first
# one's pad; last page and transaction.
_META = struct.Struct("<16xII16xI92xQQ")
_MAGIC = 0xBEEFC0DE
_PAGE_SIZES = [1 << power for power in range(8, 17)]


class _Environments:
    """Open databases of this process: a database may be open once in a process, and not across a fork."""

    def __init__(self) -> None:
        self._open: dict[Path, lmdb.Environment] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def __call__(self, folder: Path) -> lmdb.Environment:
        with self._lock:
            if folder not in self._open:
                self._open[folder] = _open(folder)
            return self._open[folder]

    def _leave_to_parent(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it
        for environment in self._open.values():
            environment.close()  # the child's mapping and descriptor only: read-only, without a lock table
        self._open = {}


def _open(folder: Path) -> lmdb.Environment:
    import lmdb

    check_pages(folder / DATA_FILE)
    try:
        # Pages are read at random, so reading ahead only fills the memory; nobody writes, so no lock file is needed.
        return lmdb.open(os.path.realpath(folder), readonly=True, lock=False, readahead=False, meminit=False)
    except (lmdb.Error, OSError) as error:
        raise damaged(folder, error) from None


def damaged(folder: Path, error: object) -> DataError:
    """What lmdb says about a database, as an error of ours."""
    return DataError(f"{folder}: cannot be read as LMDB ({error}); copy it again, or give another folder")


def check_pages(path: Path) -> None:
    """Raises DataError for a database file that is shorter than its meta pages say, or has none.

    The library maps the file without looking: to touch a page that is missing ends the process by SIGBUS.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a named pipe would wait for ever
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
        raise DataError(f"{path}: truncated, it has {status.st_size} bytes and its header says {needed}; copy it again")


def _meta(data: bytes) -> tuple[int, int, int] | None:
    """Page size, last page and transaction of a meta page; None for anything else."""
    if len(data) < _META.size:
        return None
    magic, _, page_size, last_page, transaction = _META.unpack(data)
    return (page_size, last_page, transaction) if magic == _MAGIC and page_size in _PAGE_SIZES else None


environment = _Environments()


def is_entry(path: Path) -> bool:
    """Whether a path names an image in an LMDB folder."""
    return _ENTRY.fullmatch(path.name) is not None and (path.parent / DATA_FILE).is_file()


def read_entry(path: Path) -> bytes | None:
    """The bytes of the image file that an entry's path names; None if the database has no such key.

    Raises ImportError if lmdb is not installed, DataError if the folder cannot be opened, UnusableSample if the entry
    lies on a damaged page.
    """
    import lmdb

    folder = path.parent
    try:
        with environment(folder).begin(buffers=True) as transaction:
            data = transaction.get(path.name.encode())
            if data is not None and len(data) > (folder / DATA_FILE).stat().st_size:
                raise UnusableSample("LMDB entry is damaged (longer than its database)")
            return None if data is None else bytes(data)
    except lmdb.Error as error:
        raise UnusableSample(f"LMDB entry cannot be read ({error})") from None
