"""Which process writes: its host and id, and what tells it from a later process with the same id."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ocrexp.processes import process_runs


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock. `shared`: what the machines of one run have in common, which hold it together."""

    host: str
    pid: int
    boot: str = ""  # changes when the machine starts
    namespace: str = ""  # the container's numbering of processes
    started: str = ""  # ticks from the boot to the start of the process
    shared: str | None = None
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @staticmethod
    def here(shared: str | None = None) -> Owner:
        """This process."""
        pid = os.getpid()
        return Owner(socket.gethostname(), pid, _boot(), _namespace(), process_facts(pid).started, shared)

    def runs(self) -> bool | None:
        """Whether the process runs; None if that cannot be seen from here."""
        if self.host != socket.gethostname():
            return None
        if self.boot != _boot():
            return False
        if self.namespace != _namespace():
            return None
        process = process_facts(self.pid)
        same = "" in (process.started, self.started) or process.started == self.started  # "": hidden from this user
        return same and not process.ended and process_runs(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class ProcessFacts:
    """A process, as /proc shows it."""

    parent: int = 0
    started: str = ""
    ended: bool = False


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""  # a system without /proc: the process id alone has to do


@cache
def _namespace() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def process_facts(pid: int) -> ProcessFacts:
    """What /proc shows of a process; the defaults where it shows nothing."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ProcessFacts()
    values = content.rpartition(")")[2].split()  # the name before it may hold anything
    return ProcessFacts(parent=int(values[1]), started=values[19], ended=values[0] in "ZX")


def ancestors() -> set[int]:
    """Ids of the processes that started this one, directly or not."""
    found: set[int] = set()
    pid = os.getppid()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = process_facts(pid).parent
    return found
