"""The shadow of a hand, a telephone or an edge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ocrexp.data.synth.camera.base import Sometimes, spread
from ocrexp.types import Image, Polygon

_SIDE = 64  # pixels in which the shadow is drawn: its edge is soft


class Shadow(Sometimes):
    """Darkens one side of a curved, soft edge.

    Args:
        prob: share of the images.
        depth: smallest and largest share of the light that is taken.
    """

    def __init__(self, prob: float = 0.5, depth: Sequence[float] = (0.25, 0.6)) -> None:
        super().__init__(prob)
        self.depth = spread("depth", depth, 0, 0.9)

    def change(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """See Effect."""
        height, width = image.shape[:2]
        down, across = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / _SIDE - 0.5
        turn = rng.uniform(0, 2 * math.pi)
        along = across * math.cos(turn) + down * math.sin(turn)
        beside = down * math.cos(turn) - across * math.sin(turn)
        edge = rng.uniform(-0.3, 0.3) + rng.uniform(-0.6, 0.6) * beside**2 + rng.uniform(-0.2, 0.2) * beside
        softness = rng.uniform(0.02, 0.15)
        share = 1 / (1 + np.exp(-np.clip((along - edge) / softness * 4, -30, 30)))
        light = (255 * (1 - rng.uniform(*self.depth) * share)).astype(np.uint8)
        light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(image, cv2.merge([light] * 3), scale=1 / 255), list(polygons)
