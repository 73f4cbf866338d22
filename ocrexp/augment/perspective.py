"""A random view of the page from the side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.augment.clipping import clip_regions
from ocrexp.augment.geometry import as_polygon
from ocrexp.types import ImageKind, Sample

Homography = npt.NDArray[np.float64]  # (3, 3)
# Largest change of size over an image that the tilt alone makes: points at its edge have a depth of 0.5 to 1.5.
_MOST_TILT = 0.5
_MOST_GROWTH = 2.0  # longest side of the canvas over that of the image


class RandomPerspective:
    """Tilts, shears and scales the image about its center, as PaddleOCR 3.7's augmentation of that name.

    Straight lines stay straight, so that a polygon's corners are all that has to be moved: exact in float64.

    Args:
        p: probability that a sample is changed.
        perspective: largest tilt in each direction, per pixel of distance from the center; of large images less, so
            that no point comes behind the camera or nearer than half the distance of the center.
        shear: largest shear in each direction, degrees.
        scale: factors from 1 - this to 1 + this.
        fit_output: the canvas holds the whole result, black elsewhere, at most twice as long as the image; false: it
            keeps the image's size, and regions are cut off at its edges.
        min_visible: regions of which a smaller share of their area is left become ignored.

    Raises ValueError for invalid values.
    """

    images: ClassVar[ImageKind] = "page"

    def __init__(
        self,
        p: float = 0.3,
        perspective: float = 0.001,
        shear: float = 20.0,
        scale: float = 0.0,
        fit_output: bool = True,
        min_visible: float = 0.25,
    ) -> None:
        for name, value, limit in (("p", p, 1.0), ("min_visible", min_visible, 1.0), ("scale", scale, 0.99)):
            if not 0 <= value <= limit:
                raise ValueError(f"{name}: expected a number from 0 to {limit:g}, got {value}")
        if not 0 <= shear < 60:
            raise ValueError(f"shear: expected degrees from 0 to below 60, got {shear}")
        if perspective < 0:
            raise ValueError(f"perspective: expected a number, 0 or more, got {perspective}")
        self.p, self.perspective, self.shear, self.scale = p, perspective, shear, scale
        self.fit_output, self.min_visible = fit_output, min_visible

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        image = sample["image"]
        height, width = image.shape[:2]
        # What a label places beyond the image may lie behind the camera.
        clip_regions(sample, width, height, self.min_visible)
        matrix = self._drawn(width, height, rng)
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
        size = width, height
        if self.fit_output:
            matrix, size = _fitted(matrix, corners, max(width, height))
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        centers = np.linalg.inv(half) @ matrix @ half  # OpenCV counts from the centers of pixels
        sample["image"] = cv2.warpPerspective(image, centers, size, flags=cv2.INTER_LINEAR)
        sample["polygons"] = [as_polygon(projected(polygon, matrix)) for polygon in sample["polygons"]]
        clip_regions(sample, *size, self.min_visible)
        return sample

    def _drawn(self, width: int, height: int, rng: np.random.Generator) -> Homography:
        tilt = rng.uniform(-self.perspective, self.perspective, 2)
        shear_x, shear_y = np.tan(np.deg2rad(rng.uniform(-self.shear, self.shear, 2)))
        factor = rng.uniform(1 - self.scale, 1 + self.scale)
        reach = abs(tilt[0]) * width / 2 + abs(tilt[1]) * height / 2
        tilt = tilt * min(1.0, _MOST_TILT / reach) if reach > 0 else tilt
        to_center = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
        tilted = np.array([[1, 0, 0], [0, 1, 0], [tilt[0], tilt[1], 1]])
        linear = np.array([[factor, shear_x * factor, 0], [shear_y * factor, factor, 0], [0, 0, 1]])
        return np.linalg.inv(to_center) @ linear @ tilted @ to_center


def projected(points: npt.NDArray[np.floating] | Sequence[Sequence[float]], matrix: Homography) -> np.ndarray:
    """The images of points [n, 2], float64."""
    points = np.asarray(points, np.float64)
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def _fitted(matrix: Homography, corners: np.ndarray, longest: int) -> tuple[Homography, tuple[int, int]]:
    """The matrix with the result at the canvas's corner, and the canvas's width and height."""
    moved = projected(corners, matrix)
    low, extent = moved.min(axis=0), np.ptp(moved, axis=0)
    factor = min(1.0, _MOST_GROWTH * longest / float(extent.max()))
    placed = np.array([[factor, 0, -low[0] * factor], [0, factor, -low[1] * factor], [0, 0, 1]])
    width, height = (max(int(np.ceil(side * factor - 1e-6)), 1) for side in extent)
    return placed @ matrix, (width, height)
