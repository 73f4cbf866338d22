"""A picture that was taken in too little light."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ocrexp.data.synth.camera.base import Sometimes, spread
from ocrexp.types import Image, Polygon


class LowLight(Sometimes):
    """Darkens, tints and adds the noise of few photons, which is stronger where the image is brighter.

    Args:
        prob: share of the images.
        exposure: least and most light, share of the full light.
        noise: least and most standard deviation of the noise at full white, in gray levels.
    """

    def __init__(
        self, prob: float = 0.5, exposure: Sequence[float] = (0.3, 0.7), noise: Sequence[float] = (3.0, 12.0)
    ) -> None:
        super().__init__(prob)
        self.exposure = spread("exposure", exposure, 0.05, 1)
        self.noise = spread("noise", noise, 0, 60)

    def change(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """See Effect."""
        light = rng.uniform(*self.exposure) * (1 + rng.uniform(-0.12, 0.12, 3))  # lamps are not white
        dark = np.clip(image.astype(np.float32) * light.astype(np.float32), 0, 255)
        level = np.sqrt((dark.mean(axis=2) + 4) / 255) * np.float32(rng.uniform(*self.noise))
        grain = rng.standard_normal(image.shape, np.float32)
        dark += level[:, :, None] * cv2.GaussianBlur(grain, (0, 0), 0.6) * np.float32(1.6)
        return np.clip(dark + 0.5, 0, 255).astype(np.uint8), list(polygons)
