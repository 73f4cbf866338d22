"""How much memory a run takes: this process with its children, and the GPU."""

from __future__ import annotations

import os
import time
from pathlib import Path

SECONDS_BETWEEN_SAMPLES = 2.0  # a look into /proc of a process of several GB takes some ten milliseconds


class PeakMemory:
    """The highest memory seen so far, in MB; sampled where the trainer comes by anyway.

    Pages that forked workers share with this process are counted once (PSS). Where /proc does not state it, only this
    process's own peak is known.
    """

    def __init__(self) -> None:
        self._peak_mb = 0.0
        self._next_sample = 0.0

    def sample(self) -> None:
        """Look now, unless the last look was a moment ago."""
        now = time.monotonic()
        if now < self._next_sample:
            return
        self._next_sample = now + SECONDS_BETWEEN_SAMPLES
        self._peak_mb = max(self._peak_mb, sum(_pss_kb(pid) for pid in _family(os.getpid())) / 1024)

    @property
    def mb(self) -> float:
        """The peak, not below this process's own high-water mark."""
        self.sample()
        return round(max(self._peak_mb, _status_kb(os.getpid(), "VmHWM") / 1024), 1)


def gpu_peak_mb() -> float | None:
    """Peak of the memory that paddle holds on the GPU; None on a CPU."""
    import paddle

    if not paddle.device.is_compiled_with_cuda() or not paddle.device.get_device().startswith("gpu"):
        return None
    return round(paddle.device.cuda.max_memory_reserved() / 2**20, 1)


def gpu_total_mb() -> float | None:
    """Memory of the GPU that paddle uses; None on a CPU."""
    import paddle

    if gpu_peak_mb() is None:
        return None
    return float(paddle.device.cuda.get_device_properties(paddle.device.get_device()).total_memory) / 2**20


def resident_bytes(pid: int) -> int:
    """Memory that a process uses now; 0 where it has ended or /proc does not state it."""
    return int(_status_kb(pid, "VmRSS") * 1024)


def own_bytes() -> int:
    """Memory that this process uses for itself, without files that are mapped into it."""
    return int(_status_kb(os.getpid(), "RssAnon") * 1024)


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        for task in _read_dir(Path(f"/proc/{parent}/task")):
            found.extend(int(child) for child in _read(task / "children").split())
    return found


def _pss_kb(pid: int) -> float:
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1])
    return _status_kb(pid, "VmRSS")


def _status_kb(pid: int, key: str) -> float:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith(f"{key}:"):
            return float(line.split()[1])
    return 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended, or belongs to someone else
        return ""


def _read_dir(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []
