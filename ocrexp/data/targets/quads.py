"""Regions as quadrilaterals with their corners in order."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.maps import area_and_perimeter
from ocrexp.types import Polygon

Quad = npt.NDArray[np.float64]  # (4, 2)


def as_quad(polygon: Polygon) -> Quad | None:
    """The corners of a region, clockwise; None for one without area.

    Four points that run clockwise keep their order: the first one is where the text begins. Of those that run
    counterclockwise, as after a flip, the first side is the one that is nearest to the direction of x; PaddleOCR leaves
    these out of training. Other polygons become the smallest rotated rectangle around them, which begins where it is
    nearest to them.
    """
    points = polygon.astype(np.float64)
    area = area_and_perimeter(points)[0]
    if abs(area) < 1:
        return None
    if len(points) == 4:
        return points if area > 0 else from_top_left(points[::-1])
    if area < 0:
        points = points[::-1]
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64)
    if area_and_perimeter(corners)[0] < 0:
        corners = corners[::-1]
    half = len(points) // 2
    ends = points[[0, half - 1, half, -1]] if area > 0 else None
    if ends is None:
        return from_top_left(corners)
    distances = [np.linalg.norm(np.roll(corners, -start, axis=0) - ends, axis=1).sum() for start in range(4)]
    return np.roll(corners, -int(np.argmin(distances)), axis=0)


def from_top_left(corners: Quad) -> Quad:
    """Clockwise corners, beginning with the side whose direction is nearest to that of x."""
    sides = np.roll(corners, -1, axis=0) - corners
    along = sides[:, 0] / np.maximum(np.hypot(sides[:, 0], sides[:, 1]), 1e-9)
    return np.roll(corners, -int(np.argmax(along)), axis=0)


def side_lengths(quad: Quad) -> npt.NDArray[np.float64]:
    """Lengths of the sides that begin at each corner."""
    step = np.roll(quad, -1, axis=0) - quad
    return np.hypot(step[:, 0], step[:, 1])
