"""One writer per folder: a lock file that names the process that writes, readable from every machine.

The file is made by a hard link (or by O_EXCL where the file system has none), so it works on network file systems as
well. A process that was killed leaves its file behind; whoever comes next sees that the process no longer runs and
takes the lock over. Process ids are used again, so the file also holds the boot of the machine, the process
namespace (of a container) and the time at which the process started. A process on another machine cannot be looked
at: its lock counts as alive for as long as its file is renewed, which every owner does each few seconds.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ocrexp.errors import ConfigError, printable
from ocrexp.files import read_text, shortened, temporary_name
from ocrexp.folders import remove_leftovers
from ocrexp.owner import Owner, ancestors

LOCK = ".lock"
BEAT_SECONDS = 5.0  # between two renewals
SILENT_SECONDS = 30.0  # without a renewal for so long, the process of another machine is taken to be gone
OLD_SECONDS = 300.0  # a file of this age needs no watching; clocks are those of the file system


class LockedError(ConfigError):
    """Another process that runs writes here."""


def beside(folder: Path) -> Path:
    """The lock of a folder that is replaced as a whole: it lies beside it."""
    return folder.with_name(f".{shortened(folder.name)}{LOCK}")


def read_owner(path: Path) -> Owner | None:
    """Who holds the lock; None if there is no lock file. The owner of a file that cannot be read is unknown."""
    try:
        content = json.loads(read_text(path))
        known = {item.name for item in fields(Owner)}
        return Owner(**{name: value for name, value in content.items() if name in known})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError):
        return Owner(host="an unknown machine", pid=0, token="")


def is_held(path: Path) -> bool:
    """Whether a process that runs holds the lock, as far as can be seen without waiting."""
    owner = read_owner(path)
    if owner is None:
        return False
    runs = owner.runs()
    if runs is not None:
        return runs
    with suppress(OSError):
        return time.time() - path.stat().st_mtime < OLD_SECONDS
    return False


@dataclass
class _Held:
    owner: Owner
    path: Path
    before: Owner | None = None  # whose lock it was: of the process that started this one
    count: int = 1
    stop: threading.Event = field(default_factory=threading.Event)


_held: dict[Path, _Held] = {}


def acquire(path: Path, where: str, *, shared: str | None = None, adopt: bool = False) -> None:
    """Take the lock, or count one more use of it where this process holds it already.

    Args:
        path: the lock file; its folder exists.
        where: the key or folder that a message begins with (`run_dir=…`).
        shared: a lock whose owner has the same value here is joined: several machines train one run.
        adopt: take the lock over from the process that started this one, and give it back at the end.

    Raises LockedError, in one line with host and process id, where another process that runs holds it, and OSError
    where the file cannot be written.
    """
    key = path.parent.resolve() / path.name
    if (mine := _held.get(key)) is not None and mine.owner.pid == os.getpid():
        mine.count += 1
        return
    owner = Owner.here(shared)
    while not _created(path, owner):
        other = read_owner(path)
        if other is None:
            continue  # released meanwhile
        if adopt and other.runs() and other.pid in ancestors():
            _write(path, owner)
            _keep(_Held(owner, key, before=other))
            return
        if adopt and other.shared is not None:
            return  # the launcher on this machine has joined it
        if _is_alive(path, other, where):
            if shared is not None and other.shared == shared:
                return
            raise LockedError(f"{where}: in use by {other}; wait until it ends, or stop it first")
        if _taken_over(path, owner, other, where):
            break
    _keep(_Held(owner, key))
    _clean(path)


def release(path: Path) -> None:
    """Give up one use of the lock; the last one removes the file. Nothing if this process does not hold it."""
    held = _held.get(path.parent.resolve() / path.name)
    if held is None or held.owner.pid != os.getpid():
        return
    held.count -= 1
    if held.count == 0:
        _drop(held)


def release_all() -> None:
    """Give up every lock of this process."""
    for held in list(_held.values()):
        if held.owner.pid == os.getpid():  # a forked process has the table, and not the locks
            _drop(held)


@contextmanager
def holding(path: Path, where: str, *, shared: str | None = None, adopt: bool = False) -> Iterator[None]:
    """Hold the lock within the block; see `acquire`."""
    acquire(path, where, shared=shared, adopt=adopt)
    try:
        yield
    finally:
        release(path)


def _created(path: Path, owner: Owner) -> bool:
    """Make the lock file; False where there is one. The link is the check, and its content is whole at once."""
    temporary = _temporary(path, owner)
    content = json.dumps(asdict(owner)) + "\n"
    temporary.write_text(content, encoding="utf-8")
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):  # not found: the new owner has cleaned up
        return False
    except OSError:
        if temporary.stat().st_nlink == 2:  # a network file system may do it and lose the answer
            return True
        return _created_without_links(path, content)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _created_without_links(path: Path, content: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _temporary(path: Path, owner: Owner) -> Path:
    """A temporary name that no process of any machine has as well: process ids are those of one machine."""
    return temporary_name(path.with_name(f"{path.name}.{owner.token[:8]}"))


def _write(path: Path, owner: Owner) -> None:
    temporary = _temporary(path, owner)
    temporary.write_text(json.dumps(asdict(owner)) + "\n", encoding="utf-8")
    temporary.replace(path)


def _is_alive(path: Path, owner: Owner, where: str) -> bool:
    runs = owner.runs()
    if runs is not None:
        return runs
    try:
        renewed = path.stat().st_mtime
        if _now(path) - renewed > OLD_SECONDS:
            return False
        line = f"{where}: waiting up to {SILENT_SECONDS:.0f} s for a sign of life from {owner}"
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
        deadline = time.monotonic() + SILENT_SECONDS
        while time.monotonic() < deadline:
            time.sleep(min(1.0, BEAT_SECONDS / 5))
            # Opening it asks a network file system for the present time stamp; a named pipe would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                if os.fstat(descriptor).st_mtime != renewed:
                    return True
            finally:
                os.close(descriptor)
    except FileNotFoundError:
        pass  # released: not alive, and there is nothing to take over
    return False


def _now(path: Path) -> float:
    """The time on the file system's own clock, which may differ from this machine's."""
    probe = _temporary(path, Owner.here())
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _taken_over(path: Path, owner: Owner, stale: Owner, where: str) -> bool:
    """Replace a stale lock, unless another process has done so first.

    Of several that find the same stale lock, the one that holds a lock on its replacement looks again and replaces it.
    """
    guard = path.with_name(f"{path.name}.{stale.token[:16] or 'unknown'}")
    acquire(guard, where)
    try:
        now = read_owner(path)
        if now is None or now.token != stale.token:
            return False
        _write(path, owner)
    finally:
        release(guard)
    line = f"{where}: {stale} no longer runs; its lock is taken over"
    print(f"ocrexp: {printable(line)}", file=sys.stderr, flush=True)
    return True


def _clean(path: Path) -> None:
    """Remove what processes that were killed while they took this lock have left; only its owner does so."""
    remove_leftovers(path.parent, path.name)
    for guard in path.parent.iterdir():
        owner = read_owner(guard) if guard.name.startswith(f"{path.name}.") else None
        if owner is not None and owner.runs() is False:
            guard.unlink(missing_ok=True)


def _keep(held: _Held) -> None:
    _held[held.path] = held
    threading.Thread(target=_renew, args=(held,), name=f"lock {held.path}", daemon=True).start()


def _renew(held: _Held) -> None:
    """Show that this process lives; end it where another machine has taken its lock while it was suspended."""
    while not held.stop.wait(BEAT_SECONDS):
        owner = read_owner(held.path)
        if owner is None:
            continue  # the folder may be gone; the run itself reports that
        if owner.token == held.owner.token:
            with suppress(OSError):  # a full or read-only disk; the run itself reports that
                os.utime(held.path)
        elif owner.pid and owner.runs() is None and not held.stop.is_set():
            line = f"ocrexp: {held.path.parent}: taken over by {owner} while this process was suspended; it ends now\n"
            os.write(2, line.encode())
            os._exit(1)  # anything gentler would write into the folder


def _drop(held: _Held) -> None:
    held.stop.set()
    _held.pop(held.path, None)
    with suppress(OSError):  # the folder is gone or read-only: then the lock is stale, which the next process sees
        owner = read_owner(held.path)
        if owner is None:
            return
        if owner.token == held.owner.token and held.before is not None and held.before.runs():
            _write(held.path, held.before)
        elif owner.token == held.owner.token or owner.runs() is False:  # or of a child that was killed
            held.path.unlink(missing_ok=True)


atexit.register(release_all)
