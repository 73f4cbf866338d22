"""Affine maps of images and polygons, as 2x3 matrices in float64.

Coordinates are continuous: pixel (i, j) covers the square from (j, i) to (j + 1, i + 1), so that scaling an image by s
scales its polygons by s (PaddleOCR's convention, in training and when boxes are scaled back). OpenCV's matrices speak
of pixel centers; `warp` converts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

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
    """Mirror left and right, if asked, then turn about the image's center.

    Positive degrees turn clockwise on screen.
    """
    radians = np.deg2rad(degrees)
    cos, sin = np.cos(radians), np.sin(radians)
    side = -1.0 if flip else 1.0
    x, y = width / 2, height / 2
    return np.array([[cos * side, -sin, x - cos * side * x + sin * y], [sin * side, cos, y - sin * side * x - cos * y]])


def compose(first: Matrix, *following: Matrix) -> Matrix:
    """One matrix that does the same as all of them, the first one first."""
    whole = first
    for matrix in following:
        whole = matrix[:, :2] @ whole
        whole[:, 2] += matrix[:, 2]
    return whole


def invert(matrix: Matrix) -> Matrix:
    """The map back."""
    (a, b, x), (c, d, y) = matrix.tolist()
    scale = 1 / (a * d - b * c)
    a, b, c, d = d * scale, -b * scale, -c * scale, a * scale
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


def transform(polygons: Sequence[npt.NDArray[np.floating]], matrix: Matrix) -> list[npt.NDArray[np.float64]]:
    """The polygons' images, float64, computed in one go."""
    if not polygons:
        return []
    points = np.concatenate(polygons).astype(np.float64)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    ends = list(accumulate(len(polygon) for polygon in polygons))
    return [moved[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def boxes_of(polygons: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    """(n, 4) upright boxes: left, top, right, bottom."""
    if not polygons:
        return np.empty((0, 4))
    points = np.concatenate(polygons)
    starts = [0, *accumulate(len(polygon) for polygon in polygons[:-1])]
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    return np.concatenate([low, high], axis=1).astype(np.float64, copy=False)


def warp(image: Image, matrix: Matrix, size: tuple[int, int], frame: tuple[int, int]) -> Image:
    """Resample an image by a matrix in continuous coordinates: bilinear, black beyond its edges.

    Returns (frame height, frame width, 3), black outside of `size`; both are (width, height).
    """
    width, height = size
    # Only the pixels that the matrix maps into the frame, and one more around them to interpolate with.
    source_height, source_width = image.shape[:2]
    corners = np.array([[(0, 0), (width, 0), (width, height), (0, height)]], np.float64)
    left, top, right, bottom = boxes_of(transform(list(corners), invert(matrix)))[0].tolist()
    left, top = max(math.floor(left) - 2, 0), max(math.floor(top) - 2, 0)
    right, bottom = min(math.ceil(right) + 2, source_width), min(math.ceil(bottom) + 2, source_height)
    result = np.empty((frame[1], frame[0], 3), np.uint8)
    result[height:] = 0
    result[:height, width:] = 0
    if left >= right or top >= bottom:
        result[:height, :width] = 0
        return result
    centers = compose(translation(left + 0.5, top + 0.5), matrix, translation(-0.5, -0.5))
    # OpenCV's warp takes half the time with a fourth channel; the pixels are the same, the conversions next to nothing.
    padded = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2BGRA)
    cv2.cvtColor(
        cv2.warpAffine(padded, centers, size, flags=cv2.INTER_LINEAR), cv2.COLOR_BGRA2BGR, dst=result[:height, :width]
    )
    return result


def as_polygon(points: npt.NDArray[np.floating]) -> Polygon:
    """Points as samples carry them."""
    return np.ascontiguousarray(points, dtype=np.float32)
