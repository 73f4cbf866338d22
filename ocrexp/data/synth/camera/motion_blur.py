"""A camera that moves while it takes the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ocrexp.data.synth.camera.base import Sometimes, spread
from ocrexp.types import Image, Polygon

_MOST_SHARE = 0.2  # of the image's shorter side: more makes a word unreadable


class MotionBlur(Sometimes):
    """Blurs along a straight line.

    Args:
        prob: share of the images.
        length: shortest and longest way in pixels; a fifth of the image's shorter side at most.
    """

    def __init__(self, prob: float = 0.5, length: Sequence[float] = (2.0, 7.0)) -> None:
        super().__init__(prob)
        self.length = spread("length", length, 1, 100)

    def change(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """See Effect."""
        way = min(float(rng.uniform(*self.length)), _MOST_SHARE * min(image.shape[:2]))
        turn = float(rng.uniform(0, math.pi))
        side = 2 * math.ceil(way / 2) + 1
        steps = np.linspace(-0.5, 0.5, 8 * side) * (way - 1 if way > 1 else 0)
        kernel = np.zeros((side, side), np.float32)
        middle = side // 2
        # Each point of the way is shared among the four pixels around it.
        for x, y in zip(middle + steps * math.cos(turn), middle + steps * math.sin(turn), strict=True):
            left, top = min(int(x), side - 1), min(int(y), side - 1)
            for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
                if column < side and row < side:
                    kernel[row, column] += max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
        return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), list(polygons)
