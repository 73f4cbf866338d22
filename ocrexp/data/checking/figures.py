"""Distributions of a data set: histograms for the page and the JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values between edges; `marks` are values of the model that are drawn into it, by name.

    The first and the last interval also have what is below and above.
    """

    name: str
    title: str
    unit: str
    edges: list[float]
    counts: list[int]
    quantiles: dict[str, float]
    marks: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "title": self.title, "unit": self.unit, "edges": self.edges, "counts": self.counts,
            "quantiles": self.quantiles, "marks": self.marks,
        }  # fmt: skip


def histogram(
    name: str,
    title: str,
    unit: str,
    values: Sequence[Numbers],
    marks: dict[str, float] | None = None,
    whole: bool = False,
) -> Histogram | None:
    """A histogram of values in up to 30 intervals up to their 99.5th percentile; None without values.

    `whole`: values are whole numbers, and so are the edges.
    """
    every = np.concatenate([np.asarray(part, np.float64) for part in values]) if values else np.zeros(0)
    every = every[np.isfinite(every)]
    if not len(every):
        return None
    low, high = float(every.min()), float(np.quantile(every, 0.995))
    if whole:
        width = max(1, int(np.ceil((high - low + 1) / 30)))
        edges = np.arange(low, high + width + 1, width, dtype=np.float64)
    else:
        edges = np.linspace(low, max(high, low + 1e-6 + abs(low) * 1e-6), 31)
    counts, _ = np.histogram(np.clip(every, edges[0], edges[-1] - 1e-9 * max(1.0, abs(edges[-1]))), edges)
    quantiles = {
        f"{share:g}": round(float(np.quantile(every, share)), 4) for share in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    }
    return Histogram(
        name, title, unit, [round(float(edge), 4) for edge in edges], counts.tolist(), quantiles, dict(marks or {})
    )


def character_counts(counts: npt.NDArray[np.int64]) -> list[tuple[str, int]]:
    """Characters and how often each occurs, the most frequent first; line feeds, which separate texts, are not."""
    points = np.flatnonzero(counts)
    points = points[points != 10]
    order = points[np.argsort(-counts[points], kind="stable")]
    return [(chr(point), int(counts[point])) for point in order.tolist()]
