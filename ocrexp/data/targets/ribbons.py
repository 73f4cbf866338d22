"""Texts as ribbons: pairs of points on the upper and the lower side, from the beginning of the text to its end.

The geometry of SAST's targets, with PaddleOCR's numbers.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.fourier import resampled, side_lines
from ocrexp.data.targets.maps import area_and_perimeter
from ocrexp.data.targets.quads import as_quad
from ocrexp.types import Polygon

Ribbon = npt.NDArray[np.float32]  # (pairs, 2, 2): upper and lower point, x and y
Outline = npt.NDArray[np.float32]  # (n, 2): along the upper side, and back along the lower one
_UPRIGHT_QUAD = 1.5  # a quadrilateral this many times as high as wide is read downwards
_UPRIGHT_TURN = np.radians(70)  # an outline that turns by more behind its first side begins at its end


def as_ribbon(polygon: Polygon) -> Ribbon | None:
    """A region as a ribbon; None for one without area.

    Four points are taken as `as_quad` does. An even number of points begins with the upper side; those that run
    counterclockwise, as after a flip, begin at the other end of it. Of an odd number the two long sides get equally
    many points. A quadrilateral that is much higher than wide, and an outline that begins with its short end, is read
    along its longer sides.
    """
    if abs(area_and_perimeter(polygon.astype(np.float64))[0]) < 1:
        return None
    count = len(polygon)
    if count <= 4:
        quad = as_quad(polygon)
        return None if quad is None else to_ribbon(_read_downwards(quad.astype(np.float32)))
    points = polygon.astype(np.float64)
    if area_and_perimeter(points)[0] < 0:
        points = np.roll(points[::-1], count // 2, axis=0)
    if count % 2:
        upper, lower = side_lines(points)
        steps = max(len(upper), len(lower)) - 1
        points = np.concatenate([resampled(upper, steps), resampled(lower, steps)])
    return to_ribbon(_from_long_side(points.astype(np.float32)))


def _read_downwards(quad: Outline) -> Outline:
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    upright = (lengths[0] + lengths[2]) * _UPRIGHT_QUAD < lengths[1] + lengths[3]
    return np.roll(quad, -1, axis=0) if upright else quad


def _from_long_side(points: Outline) -> Outline:
    first, second = points[0] - points[1], points[1] - points[2]
    cosine = np.dot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-6)
    turn = np.arccos(np.clip(np.round(cosine, 4), -1, 1))
    return np.roll(points, -1, axis=0) if turn > _UPRIGHT_TURN else points


def to_ribbon(outline: Outline) -> Ribbon:
    """Pairs of an outline of an even number of points."""
    half = len(outline) // 2
    return np.stack([outline[:half], outline[: half - 1 : -1]], axis=1)


def to_outline(ribbon: Ribbon) -> Outline:
    """Points (2 · pairs, 2) around a ribbon."""
    return np.concatenate([ribbon[:, 0], ribbon[::-1, 1]])


def to_quads(ribbon: Ribbon) -> npt.NDArray[np.float32]:
    """Quadrilaterals (pairs - 1, 4, 2) between neighboring pairs, clockwise from the upper point of the first."""
    before, after = ribbon[:-1], ribbon[1:]
    return np.stack([before[:, 0], after[:, 0], after[:, 1], before[:, 1]], axis=1)


def narrowed(ribbon: Ribbon, share: float) -> Ribbon:
    """The ribbon around the same middle line with this share of the height."""
    upper, lower = ribbon[:, :1], ribbon[:, 1:]
    places = np.array([[0.5 - share / 2], [0.5 + share / 2]], np.float32)
    return upper + (lower - upper) * places


def shortened(ribbon: Ribbon, share: float, height: float) -> tuple[Ribbon, list[int]]:
    """A ribbon without its ends, and the index of the quadrilateral of the given one in which each new one is.

    Args:
        ribbon: what is cut.
        share: length of what is cut off each end, as a share of the smallest of the heights at both ends and the
            length.
        height: by which the ribbon's own heights are multiplied for this.
    """
    lengths = np.linalg.norm(ribbon[1:, 0] - ribbon[:-1, 0], axis=1).tolist()
    total = sum(lengths)
    ends = np.linalg.norm(ribbon[[0, -1], 0] - ribbon[[0, -1], 1], axis=1) * height
    cut = min(float(ends.min()), total) * share
    first, first_place = _place(lengths, cut)
    last, last_place = _place(lengths, total - cut)
    begin, end = _between(ribbon, first, first_place), _between(ribbon, last, last_place)
    return np.concatenate([begin[None], ribbon[first + 1 : last + 1], end[None]]), list(range(first, last + 1))


def _place(lengths: list[float], distance: float) -> tuple[int, float]:
    """Index of the piece at a distance from the beginning, and the share of it that is before this place."""
    for index, length in enumerate(lengths):
        if distance <= length + 1e-6 or index == len(lengths) - 1:
            return index, distance / length if length > 0 else 0.0
        distance -= length
    raise AssertionError("a ribbon has at least one piece")


def _between(ribbon: Ribbon, index: int, share: float) -> Ribbon:
    return ribbon[index] + (ribbon[index + 1] - ribbon[index]) * np.float32(share)


def corners(ribbon: Ribbon) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The four corners (4, 2) of a ribbon, clockwise from the beginning of its upper side, and its center (2,).

    Of two pairs these are its points; of more the smallest rotated rectangle around its points in whole pixels.
    """
    outline = to_outline(ribbon)
    if len(outline) == 4:
        return outline, outline.mean(axis=0)
    center, size, angle = cv2.minAreaRect(outline.astype(np.int32))
    box = cv2.boxPoints((center, size, angle))
    ends = outline[[0, len(outline) // 2 - 1, len(outline) // 2, -1]]
    distances = [np.linalg.norm(np.roll(box, -start, axis=0) - ends, axis=1).sum() for start in range(4)]
    return np.roll(box, -int(np.argmin(distances)), axis=0), np.array(center, np.float32)


def mean_sides(quad: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Mean width (of the first and third side) and mean height of a quadrilateral (4, 2)."""
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    return float(lengths[0] + lengths[2]) / 2, float(lengths[1] + lengths[3]) / 2
