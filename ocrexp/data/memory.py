"""Is there enough memory for what the data needs? Asked at the start, answered with what to set."""

from __future__ import annotations

import os
from pathlib import Path

_MEGABYTE = 1 << 20
_SHM_BYTES_PER_RANK = 64 * _MEGABYTE
_CGROUP_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_bytes() -> int | None:
    """Memory that can still be used: the machine's or the container's, whichever is less; None if it is unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass  # no /proc: the cgroup may still report it
    for limit_file, used_file in _CGROUP_LIMITS:
        try:
            limit = Path(limit_file).read_text().strip()
            used = int(Path(used_file).read_text())
        except (OSError, ValueError):
            continue  # the other version of cgroups, or none
        if limit.isdigit():
            found.append(max(int(limit) - used, 0))
    return min(found) if found else None


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
