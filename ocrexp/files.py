"""Files and folders that survive a kill: written whole or not at all, claimed by one process alone."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ocrexp.errors import NotAFile

MOST_TEXT = 1 << 26  # bytes of a configuration or a dictionary
_TEMPORARY = re.compile(r"^\..*\.(\d+)\.(?:tmp|part)$")
_SCRATCH = re.compile(r"^ocrexp-[a-z]+-(\d+)-")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>
_NAME_BYTES = 200  # of 255 that file systems allow: room for what a temporary name adds


def read_file(path: Path, most: int | None = None) -> bytes:
    """A file's content.

    Raises OSError; NotAFile for a named pipe, whose opening would block forever, a device, which may have no end, a
    socket, and a file of more than `most` bytes.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(errno.EINVAL, f"is a {kind_of(status.st_mode)}, not a file", str(path))
    if most is not None and status.st_size > most:
        raise NotAFile(errno.EFBIG, f"has {status.st_size} bytes, which is too many for such a file", str(path))
    return path.read_bytes()


def read_text(path: Path, most: int | None = MOST_TEXT) -> str:
    """A UTF-8 file's text without a byte order mark; raises as `read_file`, and UnicodeDecodeError."""
    return read_file(path, most).decode("utf-8-sig")


def kind_of(mode: int) -> str:
    """What a path that does not lead to a file leads to, by its mode."""
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def write_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Replace a file atomically: a reader sees the old content or the new one, never a part.

    With `sync` the content is on the disk before the name changes, so that a power failure cannot leave an empty file.
    Raises OSError; nothing is left behind then.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def write_text(path: Path, content: str, *, sync: bool = False) -> None:
    """Like `write_bytes`, in UTF-8."""
    write_bytes(path, content.encode("utf-8"), sync=sync)


def write_json(path: Path, value: Any, *, indent: int | None = 1, sync: bool = False) -> None:
    """Like `write_text`, with the value as JSON and characters as they are."""
    write_text(path, as_json(value, indent=indent), sync=sync)


def as_json(value: Any, *, indent: int | None = 1) -> str:
    """The content of a JSON file."""
    return json.dumps(value, indent=indent, ensure_ascii=False) + "\n"


def write_new(path: Path, content: str) -> bool:
    """Write a text, in UTF-8, to a name that is free; False where something has the name already.

    The name appears with the whole content, and of processes that write it at once one gets it. Raises OSError.
    """
    temporary = temporary_name(path)
    try:
        temporary.write_bytes(content.encode("utf-8"))
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links: the name is claimed first, and filled by a rename
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                return False
            temporary.replace(path)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path) -> None:
    """Raises NotAFile if a device, a named pipe or a socket has the name, or a link to one, and for names in /dev.

    Moving a file there would take it away from everybody who uses it: the administrator may replace /dev/null, and
    /dev/stdout, which is a link to whatever a process writes to.
    """
    try:
        inside = path.parent.resolve() == Path("/dev")
        mode = None if inside else path.stat().st_mode
    except (OSError, ValueError, RuntimeError):  # nothing is there, or nothing can be: writing raises its own error
        return
    if mode is None:
        raise NotAFile(errno.EINVAL, "is in /dev, which holds no files", str(path))
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise NotAFile(errno.EINVAL, f"is a {kind_of(mode)}, not a file", str(path))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, for a library that writes by name; it is moved into place at the end.

    Raises OSError for what `check_replaceable` refuses.
    """
    check_replaceable(path)
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_name(path: Path) -> Path:
    """A hidden name beside `path` that carries this process's id: `.NAME.PID.tmp`; long names are shortened."""
    name = path.name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "ignore")
    return path.with_name(f".{name}.{os.getpid()}.tmp")


def shortened(stem: str) -> str:
    """A name without its suffix that leaves room in a file's 255 bytes for a number, a suffix and a temporary name."""
    encoded = stem.encode("utf-8", "surrogateescape")
    return stem if len(encoded) <= _NAME_BYTES else encoded[:_NAME_BYTES].decode("utf-8", "ignore")


def exists(path: Path) -> bool:
    """Whether a path exists, for names that others wrote: one that is too long, or holds a NUL byte, does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@contextmanager
def new_folder(path: Path, suffix: str = "tmp") -> Iterator[Path]:
    """An empty folder at the temporary name of `path`, which is deleted at the end unless it was moved away.

    It is locked meanwhile, so that no other process takes it for a leftover. Raises OSError if it cannot be made.
    """
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


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def process_runs(pid: int) -> bool:
    """Whether a process with this id runs on this machine; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):  # no /proc, or gone in this moment, which the next look will see
        return True


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
