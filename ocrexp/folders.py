"""Folders that survive a kill: replaced as a whole, claimed by one process alone, and freed of leftovers."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ocrexp.files import sync, temporary_name
from ocrexp.processes import process_runs

_TEMPORARY = re.compile(r"^\..*\.(\d+)\.(?:tmp|part)$")
_SCRATCH = re.compile(r"^ocrexp-[a-z]+-(\d+)-")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


@contextmanager
def new_folder(path: Path, suffix: str = "tmp") -> Iterator[Path]:
    """An empty folder at the temporary name of `path`, which is deleted at the end unless it was moved away.

    It is locked meanwhile, so that no other process takes it for a leftover. Those of killed processes are deleted.
    Raises OSError if it cannot be made.
    """
    remove_leftovers(path.parent, path.name)
    temporary = temporary_name(path).with_suffix(f".{suffix}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with _held(temporary):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch(what: str) -> Iterator[Path]:
    """A temporary folder of this process in the system's place for them; those of killed processes are deleted.

    `what` is one word in small letters, a part of its name.
    """
    place = Path(tempfile.gettempdir())
    with suppress(OSError):
        for path in place.glob("ocrexp-*"):
            match = _SCRATCH.match(path.name)
            if match and path.stat().st_uid == os.getuid() and _abandoned(path, int(match[1])):
                shutil.rmtree(path, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"ocrexp-{what}-{os.getpid()}-"))
    try:
        with _held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def leftovers(folder: Path, name: str | None = None) -> list[Path]:
    """Temporary files and folders in `folder` (see `temporary_name`) whose process no longer runs on this machine.

    With `name` only those of that name.
    """
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _TEMPORARY.match(path.name)
        wanted = name is None or path.name.startswith(f".{name}.")
        if match and wanted and _abandoned(path, int(match[1])):
            found.append(path)
    return found


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete what killed processes have left in a folder (see `leftovers`); what cannot be deleted stays."""
    with suppress(OSError):
        for path in leftovers(folder, name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _abandoned(path: Path, pid: int) -> bool:
    """Whether nobody works on it: no such process here, nor a lock from another container on the same disk."""
    if process_runs(pid):
        return False
    if not path.is_dir():
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: the process id has to do
        return True
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def put_folder(new: Path, place: Path) -> None:
    """Put a finished folder where another one may be, which is deleted; a kill leaves the old one there or the new.

    The files are on the disk before the swap. Where a system cannot exchange two names at once (`exchange`), the old
    folder has its temporary name for a moment: `recover_folder` puts it back. Raises OSError.
    """
    for path in [*new.rglob("*"), new]:
        sync(path)
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    if not place.exists():
        new.rename(place)
    elif exchange(new, place):
        old = new
    else:
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
        new.rename(place)
    sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(place: Path) -> bool:
    """Put back what a kill within `put_folder` took away, delete what it left; returns whether something came back."""
    remove_leftovers(place.parent, place.name)
    back = False
    pattern = re.compile(rf"^\.{re.escape(place.name)}\.(\d+)\.old$")
    for path in list(place.parent.iterdir()) if place.parent.is_dir() else ():
        match = pattern.match(path.name)
        if not match or not _abandoned(path, int(match[1])):
            continue
        if place.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rename(place)
            back = True
    return back


def remove_folder(path: Path) -> None:
    """Delete a folder: a kill leaves all of it or none of it under its name."""
    if path.exists():
        temporary = temporary_name(path)
        shutil.rmtree(temporary, ignore_errors=True)
        path.rename(temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def exchange(left: Path, right: Path) -> bool:
    """Swap two names in one step; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # no Linux, or a C library without it
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(left), _AT_FDCWD, os.fsencode(right), _RENAME_EXCHANGE)
    return bool(done == 0)


def claim_folder(path: Path) -> Path:
    """Make a new folder that is this process's alone: `path`, or `path_2`, `path_3`, … where that name is taken.

    Making it is the check: of any number of processes that ask at once, each gets a folder of its own. Parents are made
    as needed. Raises OSError if a folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate, number = path, 1
    while not claimed(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}_{number}")
    return candidate


def claimed(path: Path) -> bool:
    """Make the folder; False where something with this name exists. Raises OSError if it cannot be made."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def cache_folder() -> Path:
    """Where this user's cache is: $OCREXP_CACHE, else $XDG_CACHE_HOME/ocrexp, else ~/.cache/ocrexp."""
    if own := os.environ.get("OCREXP_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "ocrexp"
