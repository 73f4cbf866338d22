"""How much each swept key matters for the metric: permutation importance of small random forests.

A forest learns the metric from the values of the keys (Breiman, "Random Forests", 2001). The importance of a key is how
much the error on runs that a tree has not seen grows when the values of this key are shuffled among them, as a share of
the metric's variance. It is worked out on many random parts of the runs; their spread is its uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FEWEST = 6  # runs
MOST = 150  # runs that are looked at
PARTS = 20  # random parts of the runs
TREES = 15  # of the forest of each part
DEPTH = 6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KeyImportance:
    """`share` of the metric's variance that is lost without the key; its standard deviation over parts of the runs."""

    key: str
    share: float
    deviation: float


def importances(
    keys: Sequence[str], rows: Sequence[Sequence[Any]], metric: Sequence[float], seed: int = 0
) -> tuple[list[KeyImportance], float] | None:
    """The importance of each key, the largest first, and the share of the variance that the forests explain on runs
    they have not seen (0: nothing can be learned from the keys); None for fewer than FEWEST runs or equal metrics.

    Args:
        keys: names.
        rows: for each run a number, a text or None for each key.
        metric: for each run.
    """
    values = np.array(metric, np.float64)
    if len(values) < FEWEST or not keys or not np.ptp(values):
        return None
    generator = np.random.default_rng(seed)
    if len(values) > MOST:
        kept = generator.choice(len(values), MOST, replace=False)
        rows, values = [rows[index] for index in kept], values[kept]
    columns, owners = _encoded(rows, len(keys))
    found = np.zeros((PARTS, len(keys)))
    explained = np.zeros(PARTS)
    for part in range(PARTS):
        some = generator.choice(len(values), max(FEWEST - 1, int(0.8 * len(values))), replace=False)
        found[part], explained[part] = _forest(columns[some], values[some], owners, len(keys), generator)
    names = [
        KeyImportance(key, float(max(found[:, at].mean(), 0)), float(found[:, at].std())) for at, key in enumerate(keys)
    ]
    return sorted(names, key=lambda one: -one.share), max(float(np.mean(explained)), 0.0)


def _encoded(rows: Sequence[Sequence[Any]], count: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Numbers as ranks, texts as a column for each; and the key that each column belongs to."""
    columns: list[Floats] = []
    owners: list[int] = []
    for key in range(count):
        values = [row[key] for row in rows]
        if all(isinstance(value, int | float) and math.isfinite(value) for value in values):
            columns.append(np.unique(np.array(values, np.float64), return_inverse=True)[1].astype(np.float64))
            owners.append(key)
            continue
        for text in dict.fromkeys(str(value) for value in values):
            columns.append(np.array([float(str(value) == text) for value in values]))
            owners.append(key)
    return np.stack(columns, axis=1), np.array(owners)


def _forest(
    columns: Floats, values: Floats, owners: npt.NDArray[np.int64], count: int, generator: np.random.Generator
) -> tuple[Floats, float]:
    """Importance of each key, and the share of the variance that is explained out of bag."""
    variance = float(values.var()) or 1.0
    losses = np.zeros(count)
    sums, seen = np.zeros(len(values)), np.zeros(len(values))
    grown = 0
    for _ in range(TREES):
        bag = generator.integers(0, len(values), len(values))
        out = np.setdiff1d(np.arange(len(values)), bag)
        if len(out) < 2:
            continue
        grown += 1
        tree = _grow(columns[bag], values[bag], DEPTH, generator)
        predicted = _predict(tree, columns[out])
        sums[out] += predicted
        seen[out] += 1
        error = float(np.mean((predicted - values[out]) ** 2))
        for key in range(count):
            shuffled = columns[out].copy()
            own = owners == key
            shuffled[:, own] = shuffled[generator.permutation(len(out))][:, own]
            losses[key] += float(np.mean((_predict(tree, shuffled) - values[out]) ** 2)) - error
    some = seen > 0
    rest = float(np.mean((sums[some] / seen[some] - values[some]) ** 2)) if some.any() else variance
    return losses / max(grown, 1) / variance, 1 - rest / variance


# A node is (column, threshold, left, right), a leaf the mean of its values.
Tree = Any


def _grow(columns: Floats, values: Floats, depth: int, generator: np.random.Generator) -> Tree:
    best = None
    if depth and len(values) > 2 and np.ptp(values):
        total = float(((values - values.mean()) ** 2).sum())
        for column in generator.permutation(columns.shape[1])[: max(1, -(-2 * columns.shape[1] // 3))]:
            order = np.argsort(columns[:, column], kind="stable")
            sorted_x, sorted_y = columns[order, column], values[order]
            cuts = np.flatnonzero(np.diff(sorted_x)) + 1
            if not len(cuts):
                continue
            sums, squares = np.cumsum(sorted_y), np.cumsum(sorted_y**2)
            left = squares[cuts - 1] - sums[cuts - 1] ** 2 / cuts
            rest = sums[-1] - sums[cuts - 1]
            right = squares[-1] - squares[cuts - 1] - rest**2 / (len(values) - cuts)
            at = int(np.argmin(left + right))
            if left[at] + right[at] < (total if best is None else best[0]) - 1e-15:
                cut = cuts[at]
                best = float(left[at] + right[at]), int(column), float(sorted_x[cut - 1] + sorted_x[cut]) / 2
    if best is None:
        return float(values.mean())
    _, column, threshold = best
    low = columns[:, column] <= threshold
    return (
        column, threshold, _grow(columns[low], values[low], depth - 1, generator),
        _grow(columns[~low], values[~low], depth - 1, generator),
    )  # fmt: skip


def _predict(tree: Tree, columns: Floats) -> Floats:
    if not isinstance(tree, tuple):
        return np.full(len(columns), tree)
    column, threshold, left, right = tree
    low = columns[:, column] <= threshold
    result = np.empty(len(columns))
    result[low], result[~low] = _predict(left, columns[low]), _predict(right, columns[~low])
    return result
