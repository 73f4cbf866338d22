"""Flip and rotation of a whole image, with a canvas that holds all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ocrexp.augment import geometry
from ocrexp.augment.clipping import clip_regions
from ocrexp.types import ImageKind, Sample


class FlipRotate:
    """Mirrors left and right, and turns about the center, in one warp; polygons go through the same matrix in float64.

    For lists of single steps, as PP-OCRv6's recipe; `RandomWarpCrop` does both inside its one warp.

    Args:
        flip: probability of mirroring.
        rotate: range of the angle, degrees; above 0 turns clockwise.
        p: probability of turning at all.
        fit_output: the canvas grows to hold the whole image, black in its corners; false: it keeps the image's size,
            and regions are cut off at its edges.
        min_visible: without `fit_output`, regions of which a smaller share of their area is left become ignored.

    Raises ValueError for invalid values.
    """

    images: ClassVar[ImageKind] = "page"

    def __init__(
        self,
        flip: float = 0.5,
        rotate: Sequence[float] = (-45.0, 45.0),
        p: float = 0.5,
        fit_output: bool = True,
        min_visible: float = 0.25,
    ) -> None:
        if len(rotate) != 2 or rotate[0] > rotate[1]:
            raise ValueError(f"rotate: expected two angles, the lower one first, got {list(rotate)}")
        for name, value in (("flip", flip), ("p", p), ("min_visible", min_visible)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
        self.flip, self.p = flip, p
        self.rotate = (float(rotate[0]), float(rotate[1]))
        self.fit_output, self.min_visible = fit_output, min_visible

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        flip, turns = bool(rng.random() < self.flip), bool(rng.random() < self.p)
        angle = float(rng.uniform(*self.rotate)) if turns else 0.0
        if not flip and angle == 0:
            return sample
        image = sample["image"]
        height, width = image.shape[:2]
        if angle == 0:
            sample["image"] = np.ascontiguousarray(image[:, ::-1])
            matrix, size = geometry.flip_and_rotate(width, height, True, 0.0), (width, height)
        else:
            matrix, size = self._turned(width, height, flip, angle)
            sample["image"] = geometry.warp(image, matrix, size, size)
        moved = geometry.transform(sample["polygons"], matrix)
        sample["polygons"] = [geometry.as_polygon(polygon) for polygon in moved]
        if not self.fit_output:
            clip_regions(sample, *size, self.min_visible)
        return sample

    def _turned(self, width: int, height: int, flip: bool, angle: float) -> tuple[geometry.Matrix, tuple[int, int]]:
        """The matrix, and width and height of the canvas."""
        matrix = geometry.flip_and_rotate(width, height, flip, angle)
        if not self.fit_output:
            return matrix, (width, height)
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
        left, top, right, bottom = geometry.boxes_of(geometry.transform([corners], matrix))[0]
        # 1e-6: a turn by 90 degrees gives whole numbers but for rounding.
        size = int(np.ceil(right - left - 1e-6)), int(np.ceil(bottom - top - 1e-6))
        return geometry.compose(matrix, geometry.translation(-left, -top)), size
