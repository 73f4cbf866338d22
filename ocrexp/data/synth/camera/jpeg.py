"""An image that was sent with strong compression."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ocrexp.data.synth.camera.base import Sometimes, spread
from ocrexp.types import Image, Polygon


class Jpeg(Sometimes):
    """Compresses and decompresses the image.

    Args:
        prob: share of the images.
        quality: lowest and highest JPEG quality.
    """

    def __init__(self, prob: float = 0.5, quality: Sequence[float] = (15, 50)) -> None:
        super().__init__(prob)
        self.quality = spread("quality", quality, 1, 100)

    def change(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """See Effect."""
        quality = round(float(rng.uniform(*self.quality)))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was encoded above
        return decoded, list(polygons)
