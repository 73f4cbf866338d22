"""A camera that does not look straight at the page."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ocrexp.data.synth.camera.base import Sometimes
from ocrexp.data.synth.checks import require
from ocrexp.data.synth.sprites import box_polygon, through
from ocrexp.types import Image, Polygon


class CameraPerspective(Sometimes):
    """Moves the corners inwards; nothing leaves the image, and its edge pixels are repeated around it.

    Args:
        prob: share of the images.
        amount: largest move of a corner, share of the shorter side, 0 to 0.3.
    """

    def __init__(self, prob: float = 1.0, amount: float = 0.1) -> None:
        super().__init__(prob)
        require(0 <= amount <= 0.3, "amount", amount, "0 to 0.3")
        self.amount = float(amount)

    def change(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """See Effect."""
        height, width = image.shape[:2]
        corners = box_polygon(0, 0, width, height)
        inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        moved = corners + inwards * rng.uniform(0, self.amount * min(height, width), (4, 2))
        matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
        # Outlines count pixel edges, OpenCV counts pixel centers.
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        of_pixels = np.linalg.inv(half) @ matrix @ half
        turned = cv2.warpPerspective(
            image, of_pixels, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return turned, [through(polygon, matrix).astype(np.float32) for polygon in polygons]
