"""Drawing of one polygon into the maps of DB: offset polygons and the distance to a polygon's outline.

Every function works in the polygon's own window of the canvas; nothing loops over pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from ocrexp.data.regions import SMALL, VANISHED
from ocrexp.types import Polygon

Points = npt.NDArray[np.float64]  # (n, 2), x then y


def area_and_perimeter(points: Points) -> tuple[float, float]:
    """Signed area (shoelace; positive where the points run clockwise on screen) and perimeter of a closed polygon."""
    corners = points.tolist()  # a few points: plain floats are ten times as fast as arrays
    x0, y0 = corners[0]  # areas relative to the first point: with large coordinates the products would cancel
    area = perimeter = 0.0
    x1, y1 = corners[-1]
    for x2, y2 in corners:
        area += (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        perimeter += math.hypot(x2 - x1, y2 - y1)
        x1, y1 = x2, y2
    return area / 2, perimeter


def offset_polygon(points: Points, distance: float) -> list[npt.NDArray[np.int32]]:
    """Grow (distance > 0) or shrink (distance < 0) a polygon by `distance` pixels with round joins.

    The offset runs on whole pixels (fractions are cut off), as in PaddleOCR: the golden maps depend on it.
    Returns the resulting outlines, (m, 2) int32 each; none where nothing is left or the outline is degenerate.
    """
    offset = pyclipper.PyclipperOffset()
    try:
        offset.AddPath(points.astype(np.int64).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    except pyclipper.ClipperException:  # fewer than three different whole pixels
        return []
    return [np.array(path, dtype=np.int32) for path in offset.Execute(distance)]


def pixels_inside(
    outline: npt.NDArray[np.int32], height: int, width: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of a map's pixels that `cv2.fillPoly` fills for an outline (n, 2)."""
    left, top = np.clip(outline.min(axis=0), 0, (width, height)).tolist()
    right, bottom = np.clip(outline.max(axis=0) + 1, (left, top), (width, height)).tolist()
    window = np.zeros((bottom - top, right - left), np.uint8)
    if window.size:
        cv2.fillPoly(window, [outline], 1, offset=(-left, -top))
    rows, columns = np.nonzero(window)
    return rows + top, columns + left


def why_lost(polygon: Polygon | Points, width: int, height: int, min_text_size: float) -> str | None:
    """Why a polygon has no kernel, as a name of a sample's counts; None for one that the crop cuts or that crosses
    itself, which is no loss here or is known from its label."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if low.min() < 0 or high[0] > width - 1 or high[1] > height - 1:
        return None
    if (high - low).min() < min_text_size:
        return SMALL
    return None if abs(area_and_perimeter(polygon.astype(np.float64))[0]) < 1 else VANISHED


def shrink_polygon(points: Points, area: float, perimeter: float, ratio: float) -> list[npt.NDArray[np.int32]]:
    """Shrink by area · (1 - ratio²) / perimeter (DB, section 3.3); pieces where the polygon falls apart.

    Where one polygon does not stay one, twice the ratio is tried, three times and so on below 1, as in PaddleOCR, and
    the last result counts. PaddleOCR also means to try ratio 1, but never does. Neither do we: an unshrunk kernel
    touches its neighbors and is grown to twice its size by the postprocess, where the pieces are at least in the
    right place.
    """
    offset = pyclipper.PyclipperOffset()
    try:
        offset.AddPath(points.astype(np.int64).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    except pyclipper.ClipperException:
        return []
    paths: list[list[list[int]]] = []
    for tried in np.arange(ratio, 1, ratio):
        paths = offset.Execute(-area * (1 - np.power(tried, 2)) / perimeter)
        if len(paths) == 1:
            break
    return [np.array(path, dtype=np.int32) for path in paths]


def draw_threshold(
    points: Points,
    ratio: float,
    threshold_map: npt.NDArray[np.float32],
    mask: npt.NDArray[np.uint8],
    low: float = 0.3,
    high: float = 0.7,
) -> None:
    """Draw one polygon into the threshold map, `high` on its outline, `low` from the offset distance on, and its mask.

    The distance of a pixel to an edge is the perpendicular one inside the circle that has the edge as its diameter, and
    the distance to the nearer end outside of it, as in DB's own code.

    Args:
        points: (n, 2), may reach beyond the canvas.
        ratio: the shrink ratio; the offset distance is area · (1 - ratio²) / perimeter.
        threshold_map: (height, width), `low` where nothing has been drawn; raised in place.
        mask: (height, width), set to 1 inside the polygon grown by the offset distance.
    """
    area, perimeter = area_and_perimeter(points)
    if area == 0 or perimeter == 0:
        return
    distance = abs(area) * (1 - ratio * ratio) / perimeter
    grown = offset_polygon(points, distance)
    if not grown:
        return
    outline = grown[0]
    height, width = threshold_map.shape
    origin_x, origin_y = outline.min(axis=0).tolist()
    right, bottom = outline.max(axis=0).tolist()
    left, top = max(origin_x, 0), max(origin_y, 0)
    right, bottom = min(right, width - 1), min(bottom, height - 1)
    if left > right or top > bottom:  # outside of the canvas; PaddleOCR draws a stripe along its border there
        return
    cv2.fillPoly(mask, [outline], 1)
    # Relative to the outline's box and in float32, as the golden maps are made.
    local = (points - (origin_x, origin_y)).astype(np.float32).astype(np.float64)
    nearness = _squared_distance(local, distance, left - origin_x, top - origin_y, right - origin_x, bottom - origin_y)
    np.sqrt(nearness, out=nearness)
    nearness *= -1 / distance
    nearness += 1
    drawn = nearness.astype(np.float32)
    drawn *= high - low
    drawn += low
    window = threshold_map[top : bottom + 1, left : right + 1]
    np.maximum(window, drawn, out=window)


def _squared_distance(
    points: Points, limit: float, left: int, top: int, right: int, bottom: int
) -> npt.NDArray[np.float64]:
    """Squared distance of the window's pixels to the outline, at most limit²; inside the window only.

    Each edge is computed only where it can be nearer than `limit`: float64, as float32 loses 1e-5 of a pixel on long
    edges.
    """
    xs = np.arange(left, right + 1, dtype=np.float64)
    ys = np.arange(top, bottom + 1, dtype=np.float64)
    beyond = limit * limit
    best = np.full((len(ys), len(xs)), beyond)
    # (n, pixels): offsets of every column and row from every point, shared by the two edges that meet there.
    dx, dy = xs - points[:, :1], ys - points[:, 1:]
    dx_squared, dy_squared = dx * dx, dy * dy
    corners = points.tolist()
    count = len(corners)
    for i in range(count):
        x1, y1 = corners[i]
        j = i + 1 if i + 1 < count else 0
        x2, y2 = corners[j]
        c0, c1 = _span(x1 - limit, x1 + limit, left, right)
        r0, r1 = _span(y1 - limit, y1 + limit, top, bottom)
        if c0 < c1 and r0 < r1:
            block = best[r0:r1, c0:c1]
            np.minimum(block, dx_squared[i, c0:c1] + dy_squared[i, r0:r1, None], out=block)
        length_squared = (x2 - x1) ** 2 + (y2 - y1) ** 2
        if length_squared == 0:  # a point given twice has no edge (PaddleOCR gets NaN there)
            continue
        # The foot of the perpendicular lies on the edge, so the band is the edge's box moved along the normal.
        length = math.sqrt(length_squared)
        normal_x, normal_y = (y1 - y2) / length, (x2 - x1) / length
        reach_x, reach_y = limit * abs(normal_x), limit * abs(normal_y)
        c0, c1 = _span(min(x1, x2) - reach_x, max(x1, x2) + reach_x, left, right)
        r0, r1 = _span(min(y1, y2) - reach_y, max(y1, y2) + reach_y, top, bottom)
        if c0 >= c1 or r0 >= r1:
            continue
        across = normal_x * dx[i, c0:c1] + (normal_y * dy[i, r0:r1])[:, None]
        across *= across
        # The dot product of the vectors to the edge's two ends: not positive inside the circle over the edge.
        rounding = length_squared - _float32_length_squared(x1, y1, x2, y2)
        dot = dx[i, c0:c1] * dx[j, c0:c1] + (dy[i, r0:r1] * dy[j, r0:r1] + rounding / 4)[:, None]
        if rounding:
            # The law of cosines with an edge length in float32 is up to a hundredth of a pixel off beside the edge.
            # The golden maps have that: dot + rounding / 2 in place of dot, and so this difference in the distance.
            across -= dot * (rounding / length_squared)
        np.copyto(across, beyond, where=dot > -rounding / 4)
        block = best[r0:r1, c0:c1]
        np.minimum(block, across, out=block)
    # Rounding leaves negatives on the outline; PaddleOCR takes their root and gets holes of NaN.
    return np.maximum(best, 0, out=best)


def _float32_length_squared(x1: float, y1: float, x2: float, y2: float) -> float:
    """Squared length of an edge, rounded as arithmetic in float32 rounds it."""
    return float(np.square(np.float32(x2 - x1)) + np.square(np.float32(y2 - y1)))


def _span(low: float, high: float, first: int, last: int) -> tuple[int, int]:
    """Index range, relative to `first`, of the whole pixels in [low, high] within [first, last]."""
    return max(math.ceil(low), first) - first, min(math.floor(high), last) - first + 1
