"""Is there enough memory for what the data needs? Asked at the start, answered with what to set."""

from __future__ import annotations

import os
from pathlib import Path

_MEGABYTE = 1 << 20
_SHM_BYTES_PER_RANK = 64 * _MEGABYTE
# Limit and use of both versions of cgroups, the statistics, and the line of file pages that are given back on demand.
_CGROUP_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that can still be used: the machine's or the container's, whichever is less; None if it is unknown.

    Files that the system keeps in memory count as free.
    """
    found = []
    try:
        lines = meminfo.read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass  # no /proc: the cgroup may still report it
    for limit_file, used_file, statistics, files in _CGROUP_LIMITS:
        try:
            limit = (cgroup / limit_file).read_text().strip()
            used = int((cgroup / used_file).read_text())
        except (OSError, ValueError):
            continue  # the other version of cgroups, or none
        if limit.isdigit():
            found.append(max(int(limit) - max(used - _statistic(cgroup / statistics, files), 0), 0))
    return min(found) if found else None


def _statistic(path: Path, name: str) -> int:
    """A number of a `memory.stat`; 0 where it is missing."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] == name)
    except (OSError, ValueError):
        return 0


def slots_memory_warning(needed: int, available: int | None = None) -> str | None:
    """A line if batches on their way take more than half of the memory that is left; None if they do not."""
    available = available_bytes() if available is None else available
    if available is None or needed <= available / 2:
        return None
    return (
        f"batches loaded in advance need {needed // _MEGABYTE} MB of the {available // _MEGABYTE} MB of free memory; "
        "lower the loader's num_workers, prefetch or batch_size"
    )


def shared_memory_warning(world_size: int, path: str = "/dev/shm") -> str | None:
    """A line if /dev/shm is too small for NCCL between `world_size` processes of a machine; None if it will do.

    The loader itself does not use /dev/shm.
    """
    if world_size < 2:
        return None
    try:
        stat = os.statvfs(path)
    except OSError:
        return (
            f"{path} is missing, but multi-GPU training exchanges data through it; mount it (docker run --shm-size=1g)"
        )
    free = stat.f_bavail * stat.f_frsize
    needed = _SHM_BYTES_PER_RANK * world_size
    if free >= needed:
        return None
    return (
        f"{path} has {free // _MEGABYTE} MB free, {world_size} GPU processes need {needed // _MEGABYTE} MB or more; "
        "start the container with --shm-size=1g (or NCCL_SHM_DISABLE=1, slower)"
    )
