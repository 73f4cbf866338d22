"""Whether two runs differ by more than chance on the same validation images: a paired permutation test.

The value of a run is sum(hits) / sum(of) over the images, as a share of right texts or, with counts of regions, hmean.
If both runs are equally good, the two outcomes of an image could as well be swapped: the test swaps them at random and
counts how often a difference as large as the real one appears (Good, "Permutation, Parametric and Bootstrap Tests of
Hypotheses", 2005; for counts of retrieval: Yeh, "More accurate tests for the statistical significance of result
differences", 2000). It tells about these weights on such images, not about other seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

EXACT_UP_TO = 13  # images that differ: all 2^13 swaps are counted
DRAWS = 10_000
RESAMPLES = 1_000
_CHUNK = 4_000_000  # random signs at once

Pairs = npt.NDArray[np.float64]  # [images, 2]: hits and of
Image = tuple[str, int]  # path, and which of the lines with this path, from 0
Counts = Mapping[Image, tuple[float, float]]  # hits and of


@dataclass(frozen=True)
class PairedResult:
    """The second run compared with the first, on `images` that both have.

    `difference` is second - first, `low` and `high` its 95 % interval (bootstrap over images), `p` the probability of
    such a difference by chance. `gained` images have a better outcome in the second run, `lost` a worse one.
    """

    images: int
    difference: float
    low: float
    high: float
    p: float
    gained: int
    lost: int


def by_image(rows: Iterable[Mapping[str, Any]], name_alone: bool = False) -> dict[Image, Mapping[str, Any]]:
    """Rows of samples.jsonl by their image; `name_alone`: without its folder."""
    seen: Counter[str] = Counter()
    found = {}
    for row in rows:
        path = PurePath(row["path"]).name if name_alone else str(row["path"])
        found[path, seen[path]] = row
        seen[path] += 1
    return found


def paired_rows(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The rows of both runs for each image that both have; by file name where the folders differ completely."""
    for name_alone in (False, True):
        ours, theirs = by_image(first, name_alone), by_image(second, name_alone)
        if pairs := [(row, theirs[image]) for image, row in ours.items() if image in theirs]:
            return pairs
    return []


def counts_of(rows: Iterable[Mapping[str, Any]]) -> dict[Image, tuple[float, float]]:
    """Hits and of by image, from rows of samples.jsonl."""
    return {image: (float(row["hits"]), float(row["of"])) for image, row in by_image(rows).items()}


def averaged(runs: Sequence[Counts]) -> dict[Image, tuple[float, float]]:
    """Mean hits and of over repeated runs, of the images that all of them have."""
    common = set.intersection(*(set(run) for run in runs)) if runs else set()
    first = runs[0] if runs else {}
    return {
        key: (sum(run[key][0] for run in runs) / len(runs), sum(run[key][1] for run in runs) / len(runs))
        for key in first
        if key in common
    }


def matched(first: Counts, second: Counts) -> tuple[Pairs, Pairs]:
    """Both runs' counts of the images that both have; by file name where the folders differ completely."""
    common = [key for key in first if key in second]
    if not common:
        first, second = _by_name(first), _by_name(second)
        common = [key for key in first if key in second]
    empty = np.zeros((0, 2))
    return (
        np.array([first[key] for key in common], np.float64) if common else empty,
        np.array([second[key] for key in common], np.float64) if common else empty,
    )


def paired_test(first: Pairs, second: Pairs, seed: int = 0) -> PairedResult | None:
    """Compare two runs on the same images, in the same order; None where there is nothing to compare."""
    if not len(first) or not first[:, 1].sum() or not second[:, 1].sum():
        return None
    total, change = first + second, second - first
    moved = np.flatnonzero(change.any(axis=1))
    sums, changes = total.sum(axis=0), change[moved]
    difference = float(_difference(sums, changes.sum(axis=0)[None])[0])
    generator = np.random.default_rng(seed)
    low, high = _interval(first, second, generator)
    shares = _share(second) - _share(first)
    return PairedResult(
        images=len(first),
        difference=difference,
        low=low,
        high=high,
        p=_probability(sums, changes, difference, generator),
        gained=int((shares > 0).sum()),
        lost=int((shares < 0).sum()),
    )


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities of several comparisons, raised (Holm) so that one below 0.05 is rare by chance among all."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    raised, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        raised[index] = highest
    return raised


def _difference(sums: Pairs, changes: Pairs) -> npt.NDArray[np.float64]:
    """second - first where the sums of both are known, and how far they are apart: rows of hits and of."""
    up, down = (sums + changes) / 2, (sums - changes) / 2
    return up[:, 0] / up[:, 1] - down[:, 0] / down[:, 1]


def _probability(sums: Pairs, changes: Pairs, difference: float, generator: np.random.Generator) -> float:
    count = len(changes)
    if not count:
        return 1.0
    limit = abs(difference) - 1e-12
    if count <= EXACT_UP_TO:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float(np.mean(np.abs(_difference(sums, (2.0 * bits - 1) @ changes)) >= limit))
    extreme, left, at_once = 0, DRAWS, max(1, _CHUNK // count)
    while left:
        size = min(left, at_once)
        signs = generator.integers(0, 2, (size, count), dtype=np.int8).astype(np.float32) * 2 - 1
        extreme += int((np.abs(_difference(sums, signs.astype(np.float64) @ changes)) >= limit).sum())
        left -= size
    return (extreme + 1) / (DRAWS + 1)


def _interval(first: Pairs, second: Pairs, generator: np.random.Generator) -> tuple[float, float]:
    """2.5 and 97.5 % of the difference when images are drawn again with replacement."""
    table = np.hstack([first, second])
    differences = np.empty(RESAMPLES)
    at_once = max(1, _CHUNK // len(table))
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        weights = generator.multinomial(len(table), np.full(len(table), 1 / len(table)), size=size)
        sums = weights @ table
        with np.errstate(invalid="ignore", divide="ignore"):
            differences[start : start + size] = sums[:, 2] / sums[:, 3] - sums[:, 0] / sums[:, 1]
    low, high = np.nanpercentile(differences, [2.5, 97.5])
    return float(low), float(high)


def _share(pairs: Pairs) -> npt.NDArray[np.float64]:
    """The value of each image alone; 1 where there is nothing to find and nothing was found."""
    return np.divide(pairs[:, 0], pairs[:, 1], out=np.ones(len(pairs)), where=pairs[:, 1] > 0)


def _by_name(counts: Counts) -> dict[Image, tuple[float, float]]:
    return counts_of({"path": PurePath(path).name, "hits": one[0], "of": one[1]} for (path, _), one in counts.items())
