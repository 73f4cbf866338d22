"""Crops a text region as an upright image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.types import Image, Polygon

_LARGEST_WARPED = 32766  # maximum side in pixels of the input and output of OpenCV 4's transforms
UPRIGHT_RATIO = 1.5  # ratio of height to width from which a crop is a vertical line, and is rotated


def crop_quad(image: Image, quad: Polygon) -> Image:
    """The content of a quad; its longer sides give the width and height (PaddleOCR's get_rotate_crop_image).

    Args:
        image: uint8 [H, W, 3].
        quad: [4, 2], clockwise from the top left of the text.

    A crop at least 1.5 times as high as wide is rotated by 90° counterclockwise, so that vertical lines become
    horizontal. For a quad thinner than a pixel PaddleOCR returns the whole image; this returns a crop of one pixel.
    """
    top_left, top_right, bottom_right, bottom_left = points = np.asarray(quad, dtype=np.float32)
    width = max(_length(top_left, top_right), _length(bottom_right, bottom_left), 1)
    height = max(_length(top_left, bottom_left), _length(top_right, bottom_right), 1)
    crop = _aligned(image, points, width, height)
    if crop is None:
        image, points = _warpable(image, points)
        top_left, top_right, bottom_right, bottom_left = points
        width = min(max(_length(top_left, top_right), _length(bottom_right, bottom_left), 1), _LARGEST_WARPED)
        height = min(max(_length(top_left, bottom_left), _length(top_right, bottom_right), 1), _LARGEST_WARPED)
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        crop = cv2.warpPerspective(
            image,
            cv2.getPerspectiveTransform(points, corners),
            (width, height),
            borderMode=cv2.BORDER_REPLICATE,
            flags=cv2.INTER_CUBIC,
        )
    return upright(crop)


def crop_polygon(image: Image, polygon: Polygon) -> Image:
    """The smallest rotated rectangle around a polygon (PaddleOCR's get_minarea_rect_crop)."""
    return crop_quad(image, rectangle(polygon))


def crop(image: Image, polygon: Polygon, margin: float = 0.0) -> Image:
    """The content of a quad, or of another polygon's smallest rectangle, with a margin: see `widened`."""
    quad = polygon if len(polygon) == 4 else rectangle(polygon)
    return crop_quad(image, widened(quad, margin) if margin else quad)


def widened(quad: Polygon, margin: float) -> Polygon:
    """The quad with its sides moved outwards by `margin` times the line's height (its shorter side)."""
    top_left, top_right, bottom_right, bottom_left = points = np.asarray(quad, dtype=np.float32)
    along = (top_right - top_left + bottom_right - bottom_left) / 2
    across = (bottom_left - top_left + bottom_right - top_right) / 2
    lengths = np.linalg.norm(along), np.linalg.norm(across)
    distance = margin * min(lengths)
    along, across = (side / max(length, 1e-6) for side, length in zip((along, across), lengths, strict=True))
    outwards = np.stack([-along - across, along - across, along + across, across - along])
    return np.asarray(points + distance * outwards, dtype=np.float32)


def rectangle(polygon: Polygon) -> Polygon:
    """The smallest rotated rectangle around a polygon, [4, 2], clockwise from its top left corner."""
    box = cv2.boxPoints(cv2.minAreaRect(np.asarray(polygon, dtype=np.int32)))
    left_a, left_b, right_a, right_b = sorted(box.tolist(), key=lambda point: point[0])
    top_left, bottom_left = (left_a, left_b) if left_b[1] > left_a[1] else (left_b, left_a)
    top_right, bottom_right = (right_a, right_b) if right_b[1] > right_a[1] else (right_b, right_a)
    return np.array([top_left, top_right, bottom_right, bottom_left], dtype=np.float32)


def upright(image: Image) -> Image:
    """Rotate a vertical line by 90° counterclockwise; return any other crop unchanged."""
    height, width = image.shape[:2]
    return np.rot90(image) if height / width >= UPRIGHT_RATIO else image


def _aligned(image: Image, points: npt.NDArray[np.float32], width: int, height: int) -> Image | None:
    """The crop of an axis-aligned box with integer coordinates, for which the transform would only copy pixels."""
    (left, top), (right, bottom) = points[0].tolist(), points[2].tolist()
    box = [[left, top], [right, top], [right, bottom], [left, bottom]]
    if points.tolist() != box or right - left != width or bottom - top != height:
        return None
    if not (left.is_integer() and top.is_integer() and left >= 0 and top >= 0):
        return None
    if right > image.shape[1] or bottom > image.shape[0]:
        return None
    return image[int(top) : int(bottom), int(left) : int(right)]


def _warpable(image: Image, points: npt.NDArray[np.float32]) -> tuple[Image, npt.NDArray[np.float32]]:
    """The part of the image around the points if the image is too large for OpenCV; shrunk if still too large."""
    if max(image.shape[:2]) <= _LARGEST_WARPED:
        return image, points
    edge = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(points.min(axis=0)) - 3, 0, edge - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 4, low + 1, edge).astype(int)
    part, points = image[low[1] : high[1], low[0] : high[0]], (points - low).astype(np.float32)
    height, width = part.shape[:2]
    share = _LARGEST_WARPED / max(height, width)
    if share >= 1:
        return part, points
    size = (max(1, round(width * share)), max(1, round(height * share)))
    shrunk = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return shrunk, (points * np.array([size[0] / width, size[1] / height])).astype(np.float32)


def _length(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> int:
    return int(np.linalg.norm(a - b))
