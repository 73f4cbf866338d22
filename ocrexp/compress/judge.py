"""Networks side by side: size, work, time in turn, and metric; and whether one loses too much of the metric."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ocrexp.compress.images import prepared
from ocrexp.data.images import read_image
from ocrexp.data.lmdb_file import is_entry

if TYPE_CHECKING:
    from ocrexp.assemble import Parts
    from ocrexp.export.samples import Samples

Floats = npt.NDArray[Any]

_TIMED_IMAGES = 8
_ROUNDS = 5
_ROUNDING = 1e-9  # of a difference of metrics


@dataclass(frozen=True)
class JudgedNetwork:
    """An exported network that is judged.

    Args:
        name: for the table.
        folder: with its files and its `inference.yml`.
        backend: `onnx` or `paddle`.
        macs: multiply-accumulates of one image, see `models.summary`; None: unknown.
    """

    name: str
    folder: Path
    backend: str
    macs: int | None

    @property
    def size(self) -> int:
        """Bytes of the files that the backend reads."""
        suffixes = (".onnx",) if self.backend == "onnx" else (".json", ".pdmodel", ".pdiparams")
        return sum(path.stat().st_size for path in self.folder.glob("inference.*") if path.suffix in suffixes)


@dataclass(frozen=True)
class Judged:
    """A row of the table: `milliseconds` per image on one core, median; `metric` on the images that were read."""

    name: str
    megabytes: float
    gmacs: float | None
    milliseconds: float
    metric: float

    def report(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


def judge(parts: Parts, entries: Sequence[JudgedNetwork], samples: Samples) -> list[Judged]:
    """Read the samples' files with each network, as users deploy it, and time the networks in turn.

    Args:
        parts: of the run, for its task, its metric and its preprocessing.
        entries: the networks.
        samples: images with ground truth.
    """
    images: list[Any] = []
    references: list[Any] = []
    inputs: list[Floats] = []
    for batch in samples.batches(parts):
        images += [read_image(Path(path)) if is_entry(Path(path)) else path for path in batch["paths"]]
        references += batch["references"]
        if len(inputs) < _TIMED_IMAGES:
            inputs += [image[None] for image in prepared(parts, batch)]
    times = in_turn([(entry.folder, entry.backend) for entry in entries], inputs[:_TIMED_IMAGES])
    rows = []
    for entry, milliseconds in zip(entries, times, strict=True):
        metric = parts.new_metric()
        metric.update(parts.task.run_export(entry.folder, entry.backend, images), references)
        gmacs = None if entry.macs is None else entry.macs / 1e9
        rows.append(Judged(entry.name, entry.size / 1e6, gmacs, milliseconds, float(metric.compute()[metric.main])))
    return rows


def in_turn(networks: Sequence[tuple[Path, str]], inputs: Sequence[Floats]) -> list[float]:
    """Milliseconds per image of each (folder, backend) on one core, the networks one after another for each image.

    Other work on the machine then disturbs all of them alike. The median over images and rounds.
    """
    from ocrexp.deploy.backends.opening import open_backend

    backends = [open_backend(folder, backend=name, threads=1) for folder, name in networks]
    for backend in backends:
        for image in inputs:
            backend.run(image)  # kernels for each size are prepared in the first run
    taken: list[list[float]] = [[] for _ in backends]
    for _ in range(_ROUNDS):
        for image in inputs:
            for backend, seconds in zip(backends, taken, strict=True):
                began = time.perf_counter()
                backend.run(image)
                seconds.append(time.perf_counter() - began)
    return [1000 * statistics.median(seconds) for seconds in taken]


def lost_too_much(rows: Sequence[Judged], main: str, max_drop: float) -> list[str]:
    """The networks whose metric is more than `max_drop` below that of the first one, one line each."""
    first, *others = rows
    return [
        f"{row.name}: {main} is {row.metric:.4f}, {first.metric - row.metric:.4f} below {first.name} "
        f"({first.metric:.4f}; export.max_drop={max_drop:g})"
        for row in others
        if not first.metric - row.metric <= max_drop + _ROUNDING
    ]


def table(rows: Sequence[Judged], main: str) -> list[str]:
    """The table as lines of text; sizes and times also as factors of the first row."""
    head = ("network", "MB", "GMACs", "ms/image", "size", "speed", main)
    first = rows[0]
    lines = [
        (
            row.name,
            f"{row.megabytes:.2f}",
            "–" if row.gmacs is None else f"{row.gmacs:.3g}",
            f"{row.milliseconds:.1f}",
            f"÷{first.megabytes / row.megabytes:.2f}",
            f"×{first.milliseconds / row.milliseconds:.2f}",
            f"{row.metric:.4f}",
        )
        for row in rows
    ]
    widths = [max(len(line[place]) for line in (head, *lines)) for place in range(len(head))]
    return [
        "  ".join(text.ljust(width) if not place else text.rjust(width) for place, (text, width) in enumerate(pairs))
        for line in (head, *lines)
        for pairs in [list(zip(line, widths, strict=True))]
    ]
