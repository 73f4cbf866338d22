"""Files that survive a kill: written whole or not at all. folders.py does the same for folders."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ocrexp.errors import NotAFile

MOST_TEXT = 1 << 26  # bytes of a configuration or a dictionary
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


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
