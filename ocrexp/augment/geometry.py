"""Affine maps of images and polygons, as 2x3 matrices in float64.

Coordinates are continuous: pixel (i, j) covers the square from (j, i) to (j + 1, i + 1), so that scaling an image by s
scales its polygons by s (PaddleOCR's convention, in training and when boxes are scaled back). OpenCV's matrices speak
of pixel centres; `warp` converts.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.types import Image, Polygon

Matrix = npt.NDArray[np.float64]  # (2, 3)


def scaling(x: float, y: float) -> Matrix:
    """Scale about the origin."""
    return np.array([[x, 0, 0], [0, y, 0]], np.float64)


def translation(x: float, y: float) -> Matrix:
    """Move by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y]], np.float64)


def flip_and_rotate(width: float, height: float, flip: bool, degrees: float) -> Matrix:
    """Mirror left and right, if asked, then turn about the image's centre.

    Positive degrees turn clockwise on screen.
    """
    radians = np.deg2rad(degrees)
    cos, sin = np.cos(radians), np.sin(radians)
    side = -1.0 if flip else 1.0
    x, y = width / 2, height / 2
    return np.array([[cos * side, -sin, x - cos * side * x + sin * y], [sin * side, cos, y - sin * side * x - cos * y]])


def compose(*matrices: Matrix) -> Matrix:
    """One matrix that does the same as all of them, the first one first."""
    whole = np.eye(3)
    for matrix in matrices:
        whole = np.vstack([matrix, (0, 0, 1)]) @ whole
    return whole[:2]


def transform(polygons: Sequence[npt.NDArray[np.floating]], matrix: Matrix) -> list[npt.NDArray[np.float64]]:
    """The polygons' images, float64, computed in one go."""
    if not polygons:
        return []
    points = np.concatenate(polygons).astype(np.float64)
    moved = points[:, :1] * matrix[:, 0] + points[:, 1:] * matrix[:, 1] + matrix[:, 2]
    return np.split(moved, np.cumsum([len(polygon) for polygon in polygons])[:-1])


def boxes_of(polygons: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    """(n, 4) upright boxes: left, top, right, bottom."""
    if not polygons:
        return np.empty((0, 4))
    return np.array([[*polygon.min(axis=0), *polygon.max(axis=0)] for polygon in polygons], np.float64)


def warp(image: Image, matrix: Matrix, width: int, height: int) -> Image:
    """Resample an image by a matrix in continuous coordinates to (height, width, 3), bilinear, black beyond its
    edges.
    """
    centres = compose(translation(0.5, 0.5), matrix, translation(-0.5, -0.5))
    return cv2.warpAffine(image, centres, (width, height), flags=cv2.INTER_LINEAR)


def as_polygon(points: npt.NDArray[np.floating]) -> Polygon:
    """Points as samples carry them."""
    return np.ascontiguousarray(points, dtype=np.float32)
