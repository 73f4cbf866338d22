"""Counts and times of the server in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Labels = tuple[tuple[str, str], ...]


class BucketCounts:
    """Counts of values up to each bound, with their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        return sum(self._counts)

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: Labels = ()) -> Iterable[str]:
        seen = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            seen += count
            le = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield f"{name}_bucket{_shown((*labels, ('le', le)))} {seen}"
        yield f"{name}_sum{_shown(labels)} {self.total:.6f}"
        yield f"{name}_count{_shown(labels)} {seen}"


class Metrics:
    """All figures of a server. One process answers all requests, so they are those of all workers."""

    def __init__(self, batch_images: int) -> None:
        self.requests: Counter[Labels] = Counter()
        self.seconds: dict[str, BucketCounts] = {}
        self.images: Counter[str] = Counter()
        self.batches = BucketCounts(
            sorted({*(2**power for power in range(12) if 2**power < batch_images), batch_images})
        )
        self.reading = BucketCounts(SECONDS)  # seconds of a batch in a worker
        self.restarts = 0
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.processes: Callable[[], Mapping[str, int]] = dict

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests[(("method", method), ("route", route), ("status", str(status)))] += 1
        self.seconds.setdefault(route, BucketCounts(SECONDS)).add(seconds)

    def text(self) -> str:
        lines: list[str] = []

        def family(name: str, kind: str, about: str, samples: Iterable[str]) -> None:
            lines.extend((f"# HELP {name} {about}", f"# TYPE {name} {kind}", *samples))

        name = "ocrexp_requests_total"
        family(name, "counter", "Requests that were answered.", _counted(name, self.requests))
        name = "ocrexp_request_seconds"
        samples = [line for route, each in self.seconds.items() for line in each.lines(name, (("route", route),))]
        family(name, "histogram", "Seconds from the first byte of a request to its answer.", samples)
        name = "ocrexp_images_total"
        family(name, "counter", "Files of requests by result.", _counted(name, _by("result", self.images)))
        name = "ocrexp_batch_images"
        family(name, "histogram", "Files that a worker read together.", self.batches.lines(name))
        name = "ocrexp_batch_seconds"
        family(name, "histogram", "Seconds of a batch in a worker.", self.reading.lines(name))
        name = "ocrexp_worker_restarts_total"
        family(name, "counter", "Worker processes that were started again.", [f"{name} {self.restarts}"])
        for name, (about, value) in self.gauges.items():
            family(name, "gauge", about, [f"{name} {value():g}"])
        name = "ocrexp_memory_bytes"
        memory = {process: _resident(pid) for process, pid in {"server": os.getpid(), **self.processes()}.items()}
        family(name, "gauge", "Resident memory.", _counted(name, _by("process", memory)))
        return "\n".join(lines) + "\n"


def _by(label: str, values: Mapping[str, int]) -> dict[Labels, int]:
    return {((label, key),): value for key, value in values.items()}


def _counted(name: str, values: Mapping[Labels, int]) -> list[str]:
    return [f"{name}{_shown(labels)} {value}" for labels, value in sorted(values.items())]


def _shown(labels: Labels) -> str:
    # Values are names of this program, never a client's text: nothing to escape.
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels) + "}" if labels else ""


def _resident(pid: int) -> int:
    """Bytes of memory that a process uses; 0 where it is not known."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
