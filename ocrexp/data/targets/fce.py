"""The targets of FCENet (Zhu et al., arXiv 2104.10442): text, text centers and Fourier coefficients at three strides.

Drawn as PaddleOCR's FCENetTargets does, except for its faults: see `FCETargets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.regions import LEGIBLE
from ocrexp.data.targets.fourier import Points, center_boxes, fourier_signature, with_four_points
from ocrexp.data.targets.maps import pixels_inside
from ocrexp.types import Sample

NAMES = ("p3_maps", "p4_maps", "p5_maps")
STRIDES = (8, 16, 32)
TEXT, CENTER, COUNTED = 0, 1, 2  # channels


class FCETargets:
    """Adds `p3_maps`, `p4_maps`, `p5_maps` to a sample: float32 [3 + 2 (2K + 1), H/s, W/s] for s = 8, 16, 32.

    The channels are text, text center, 0 where the loss does not count (ignored regions), and at text the real and the
    imaginary parts of the outline's Fourier coefficients -K to K, in pixels of the level; the middle one is relative to
    the pixel. Reads `polygons`, `ignored` and the size of `image`, whose sides should be multiples of 32.

    A region belongs to the levels in whose range its longer side is, as a share of the image's height. PaddleOCR has
    no level for regions that are as long as the image is high, so it learns them as background; here the last range
    has no end. And it fills all pieces of the centers together, so that they are holes where two overlap.

    Args:
        fourier_degree: K.
        resample_step: pixels of the level between two points of a center line.
        center_region_shrink_ratio: width of the center as a share of the text's height.
        level_proportion_range: three ranges [low, high].
    """

    def __init__(
        self,
        fourier_degree: int = 5,
        resample_step: float = 4.0,
        center_region_shrink_ratio: float = 0.3,
        level_proportion_range: Sequence[Sequence[float]] = ((0, 0.25), (0.2, 0.65), (0.55, 1.0)),
    ) -> None:
        if fourier_degree < 1:
            raise ValueError(f"fourier_degree: expected 1 or more, got {fourier_degree}")
        if resample_step <= 0:
            raise ValueError(f"resample_step: expected a number above 0, got {resample_step}")
        if not 0 < center_region_shrink_ratio <= 1:
            raise ValueError(
                f"center_region_shrink_ratio: expected a number from 0 to 1, got {center_region_shrink_ratio}"
            )
        ranges = [tuple(map(float, each)) for each in level_proportion_range]
        if len(ranges) != len(STRIDES) or any(len(each) != 2 or each[0] >= each[1] for each in ranges):
            raise ValueError(f"level_proportion_range: expected three ranges [low, high], got {level_proportion_range}")
        self.fourier_degree = fourier_degree
        self.resample_step = resample_step
        self.center_region_shrink_ratio = center_region_shrink_ratio
        self._ranges = [*ranges[:-1], (ranges[-1][0], np.inf)]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        height, width = sample["image"].shape[:2]
        ignored = np.asarray(sample["ignored"], dtype=bool)
        polygons = [with_four_points(polygon.astype(np.float64)) for polygon in sample["polygons"]]
        shares = [_longer_side(polygon) / (height + 1e-8) for polygon in polygons]
        sample.setdefault("counts", {})[LEGIBLE] = len(polygons) - int(np.count_nonzero(ignored))
        made = {}
        for name, stride, (low, high) in zip(NAMES, STRIDES, self._ranges, strict=True):
            regions = [
                (polygon / stride, bool(skip))
                for polygon, skip, share in zip(polygons, ignored, shares, strict=True)
                if low < share < high
            ]
            made[name] = self._level(regions, height // stride, width // stride)
        cast(dict[str, Any], sample).update(made)
        return sample

    def _level(self, regions: Sequence[tuple[Points, bool]], height: int, width: int) -> npt.NDArray[np.float32]:
        maps = np.zeros((3 + 2 * (2 * self.fourier_degree + 1), height, width), np.float32)
        maps[COUNTED] = 1
        coefficients = maps[3:].reshape(2, 2 * self.fourier_degree + 1, height, width)
        for polygon, skip in regions:
            outline = polygon.astype(np.int32)
            signature = None if skip else fourier_signature(polygon, self.fourier_degree)
            if signature is None:  # ignored, or without an extent
                cv2.fillPoly(maps[COUNTED], [outline], 0)
                continue
            cv2.fillPoly(maps[TEXT], [outline], 1)
            for box in center_boxes(polygon, self.resample_step, self.center_region_shrink_ratio):
                cv2.fillPoly(maps[CENTER], [box], 1)
            rows, columns = pixels_inside(outline, height, width)
            coefficients[0][:, rows, columns] = signature.real[:, None]
            coefficients[1][:, rows, columns] = signature.imag[:, None]
            coefficients[0, self.fourier_degree, rows, columns] -= columns
            coefficients[1, self.fourier_degree, rows, columns] -= rows
        return maps


def _longer_side(polygon: Points) -> int:
    """Of the upright box, in whole pixels."""
    whole = polygon.astype(np.int32)
    return int((whole.max(axis=0) - whole.min(axis=0)).max()) + 1
