"""EAST's target maps: score and geometry of quadrilaterals (Zhou et al., arXiv 1704.03155, section 3.3).

Drawn as PaddleOCR's EASTProcessTrain does, except where that is at fault: it loses regions from the 256th of an image
on; it leaves flipped regions out of training; it fails for polygons of other than four points; it moves corners outside
of the image to its border, so that a region at the border has another shape than it has.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.regions import LEGIBLE
from ocrexp.data.targets.maps import why_lost
from ocrexp.data.targets.quads import Quad, as_quad, side_lengths
from ocrexp.types import Sample

STRIDE = 4  # of the maps
SHRINK = 0.3  # share of the shorter adjacent side by which each corner moves inwards


class EASTTargets:
    """Adds maps at stride 4 to a sample: `score_map`, `training_mask` (uint8, 1 x H/4 x W/4) and `geo_map` (float32,
    9 x H/4 x W/4: x and y of the pixel minus those of the four corners, then 1 / shorter side, in pixels of the image).

    Reads `polygons`, `ignored` and the size of `image`. A region with a side below `min_text_size` is excluded from
    the loss (`training_mask` 0) and marked in `ignored`. Legible regions and those that are lost whole within the
    canvas are added to the sample's `counts`.

    Args:
        min_text_size: pixels.
    """

    def __init__(self, min_text_size: float = 10) -> None:
        self.min_text_size = min_text_size

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        height, width = sample["image"].shape[:2]
        ignored = np.array(sample["ignored"], dtype=bool)
        size = (-(-height // STRIDE), -(-width // STRIDE))
        score = np.zeros(size, np.uint8)
        geometry = np.zeros((9, *size), np.float32)
        mask = np.ones(size, np.uint8)
        counts = sample.setdefault("counts", {})
        counts[LEGIBLE] = len(ignored) - int(np.count_nonzero(ignored))
        for index, polygon in enumerate(sample["polygons"]):
            quad = as_quad(polygon)
            sides = None if quad is None else side_lengths(quad)
            if ignored[index] or quad is None or sides is None or sides.min() < self.min_text_size:
                reason = None if ignored[index] else why_lost(polygon, width, height, self.min_text_size)
                if reason:
                    counts[reason] = counts.get(reason, 0) + 1
                ignored[index] = True
                rows, columns = _sampled(polygon, size)
                mask[rows, columns] = 0
                continue
            rows, columns = _sampled(_shrunk(quad, sides), size)
            score[rows, columns] = 1
            geometry[:8:2, rows, columns] = columns * STRIDE - quad[:, :1]
            geometry[1:8:2, rows, columns] = rows * STRIDE - quad[:, 1:]
            geometry[8, rows, columns] = 1 / max(sides.min(), 1.0)
        sample["ignored"] = ignored
        maps: dict[str, Any] = {"score_map": score[None], "geo_map": geometry, "training_mask": mask[None]}
        return cast(Sample, {**sample, **maps})


def _shrunk(quad: Quad, sides: npt.NDArray[np.float64]) -> Quad:
    """Each corner moved along both of its sides by a share of the shorter one, along the longer pair of sides first."""
    distance = SHRINK * np.minimum(sides, np.roll(sides, 1))
    points = quad.copy()
    rows, columns = ((0, 1), (3, 2)), ((0, 3), (1, 2))
    along = sides[0] + sides[2] > sides[1] + sides[3]
    for one, other in (*rows, *columns) if along else (*columns, *rows):
        _approach(points, one, other, distance)
    return points


def _approach(points: Quad, one: int, other: int, distance: npt.NDArray[np.float64]) -> None:
    direction = points[other] - points[one]
    direction = direction / max(float(np.hypot(*direction)), 1e-9)
    points[one] += distance[one] * direction
    points[other] -= distance[other] * direction


def _sampled(
    polygon: npt.NDArray[np.floating], size: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the pixels of maps at STRIDE whose pixel of the image lies in a polygon."""
    points = polygon.astype(np.int32)
    low = np.maximum(points.min(axis=0) // STRIDE, 0)
    high = np.minimum(points.max(axis=0) // STRIDE, (size[1] - 1, size[0] - 1))
    if (low > high).any():
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    # Whole pixels of the maps: what OpenCV cuts off at the border of its canvas, it draws a little differently.
    window = np.zeros(((high - low + 1) * STRIDE)[::-1], np.uint8)
    cv2.fillPoly(window, [points - low.astype(np.int32) * STRIDE], 1)
    rows, columns = np.nonzero(window[::STRIDE, ::STRIDE])
    return rows + low[1], columns + low[0]
