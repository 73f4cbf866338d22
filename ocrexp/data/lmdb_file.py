"""Reading LMDB folders, from any process.

An entry has a path, `<folder>/image-000000001`, so that whatever reads images by path reads these too.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.errors import DataError

if TYPE_CHECKING:
    import lmdb

DATA_FILE = "data.mdb"
_ENTRY = re.compile(r"image-\d{9,}")


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

    try:
        # Pages are read at random, so reading ahead only fills the memory; nobody writes, so no lock file is needed.
        return lmdb.open(os.path.realpath(folder), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise DataError(f"{folder} cannot be opened as LMDB ({error}): copy it again, or give another folder") from None


environment = _Environments()


def is_entry(path: Path) -> bool:
    """Whether a path names an image in an LMDB folder."""
    return _ENTRY.fullmatch(path.name) is not None and (path.parent / DATA_FILE).is_file()


def read_entry(path: Path) -> bytes | None:
    """The bytes of the image file that an entry's path names; None if the database has no such key.

    Raises ImportError if lmdb is not installed, DataError if the folder cannot be opened.
    """
    with environment(path.parent).begin() as transaction:
        data: bytes | None = transaction.get(path.name.encode())
    return data
