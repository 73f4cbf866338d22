"""What camera effects share: how often they happen, and their settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ocrexp.data.synth.checks import require
from ocrexp.data.synth.effect import Effect
from ocrexp.types import Image, Polygon


class Sometimes(Effect):
    """An effect of a share of the images.

    Args:
        prob: that share, 0..1.

    Raises ValueError for other values.
    """

    def __init__(self, prob: float) -> None:
        require(0 <= prob <= 1, "prob", prob, "0 to 1")
        self.prob = float(prob)

    def __call__(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """The image as it is, or changed; see Effect."""
        if rng.random() >= self.prob:
            return image, list(polygons)
        return self.change(image, polygons, rng)

    @abstractmethod
    def change(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """The changed image and the outlines in it."""

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return dict(vars(self))


def spread(key: str, given: Sequence[float], least: float, most: float) -> tuple[float, float]:
    """[smallest, largest] as a tuple. Raises ValueError unless they are in their order and between the limits."""
    fine = len(given) == 2 and least <= given[0] <= given[1] <= most
    require(fine, key, list(given), f"[smallest, largest], {least:g} to {most:g}")
    return float(given[0]), float(given[1])
