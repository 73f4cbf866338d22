"""Drawing by weight."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T", bound=Hashable)


class WeightedChoice(Generic[T]):
    """Draws one of some things by their weights, of which one at least is above 0."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.things = [thing for thing, weight in weights.items() if weight > 0]
        self._ends = list(itertools.accumulate(weights[thing] for thing in self.things))

    def draw(self, rng: np.random.Generator) -> T:
        """One of them; uses one random number."""
        at = rng.random() * self._ends[-1]
        return self.things[min(bisect.bisect(self._ends, at), len(self.things) - 1)]
