"""Checks output paths before the work starts, and reports in one line which key to set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocrexp.errors import ConfigError, printable
from ocrexp.files import check_replaceable, temporary_name

_PROBE = b"\0" * 4096  # one block, because an empty file can be created even on a full disk


@contextmanager
def refused(path: Path, key: str) -> Iterator[None]:
    """Converts an OSError in this block (name too long, no permission) to a ConfigError that names `key`."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(
            f"{key}={printable(str(path))}: cannot be written ({why}); set {key} to a writable path"
        ) from error


def folder_to_write(path: Path, key: str) -> Path:
    """Create the folder, and check that it is writable. Raises ConfigError naming `key`."""
    with refused(path, key):
        path.mkdir(parents=True, exist_ok=True)
        _probe(path / "probe")
    return path


def new_folder_to_write(path: Path, key: str) -> None:
    """Create the parent of a folder that will be written, and check that it is writable. Raises ConfigError naming
    `key`."""
    with refused(path, key):
        path.parent.mkdir(parents=True, exist_ok=True)
        _probe(path)


def file_to_write(path: Path, key: str) -> Path:
    """Create the folder of a file, and check that the file can be written. Raises ConfigError naming `key`."""
    with refused(path, key):
        if path.is_dir():
            place = printable(str(path / "FILE"))
            raise ConfigError(f"{key}={printable(str(path))}: expected a file, got a folder; set {key}={place}")
        check_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _probe(path)
    return path


def writable(folder: Path) -> bool:
    """Whether a file can be written into an existing folder."""
    try:
        _probe(folder / "probe")
    except OSError:
        return False
    return True


def _probe(path: Path) -> None:
    temporary = temporary_name(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, _PROBE)
        finally:
            os.close(descriptor)
    finally:
        temporary.unlink(missing_ok=True)
