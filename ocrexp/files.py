"""Files and folders that survive a kill: written whole or not at all, claimed by one process alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TEMPORARY = re.compile(r"^\..*\.(\d+)\.tmp$")
_NAME_BYTES = 200  # of 255 that file systems allow: room for what a temporary name adds


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
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n", sync=sync)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, for a library that writes by name; it is moved into place at the end."""
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


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders in `folder` (see `temporary_name`) whose process no longer runs on this machine."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _TEMPORARY.match(path.name)
        if match and not process_runs(int(match[1])):
            found.append(path)
    return found


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
    as needed. Raises OSError where a folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate, number = path, 1
    while not claimed(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}_{number}")
    return candidate


def claimed(path: Path) -> bool:
    """Make the folder; False where something with this name exists. Raises OSError where it cannot be made."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
