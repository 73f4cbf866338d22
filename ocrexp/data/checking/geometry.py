"""Geometry of many polygons at once: direction, extent, sides, where a quadrilateral starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ocrexp.types import Polygon

Floats = npt.NDArray[np.float64]

_ELONGATED = 1.5  # ratio of the sides of a quadrilateral from which the direction of its text is clear


class PolygonTable:
    """Measures of polygons, arrays [n].

    Attributes:
        low, high: corners of the upright box, [n, 2], x then y.
        area: positive where the points run clockwise in the image.
        short: the shorter side of the rectangle with the polygon's area and perimeter, in pixels: the height of a line
            of text, of a curved one too.
    """

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        self.polygons = polygons
        sizes = np.array([len(polygon) for polygon in polygons], np.int64)
        starts = np.cumsum(sizes) - sizes
        points = np.concatenate(polygons).astype(np.float64) if polygons else np.zeros((0, 2))
        following = np.arange(len(points)) + 1
        following[starts + sizes - 1] = starts
        edges = points[following] - points
        if not polygons:
            self.low = self.high = np.zeros((0, 2))
            self.area = self.short = np.zeros(0)
            return
        self.low = np.minimum.reduceat(points, starts)
        self.high = np.maximum.reduceat(points, starts)
        origin = np.repeat(points[starts], sizes, axis=0)  # differences of large products lose digits
        at = points - origin
        cross = at[:, 0] * (at[:, 1] + edges[:, 1]) - (at[:, 0] + edges[:, 0]) * at[:, 1]
        self.area = np.add.reduceat(cross, starts) / 2
        perimeter = np.add.reduceat(np.hypot(edges[:, 0], edges[:, 1]), starts)
        root = np.sqrt(np.maximum(perimeter**2 - 16 * np.abs(self.area), 0))
        self.short = (perimeter - root) / 4


def wrong_start(polygon: Polygon) -> str | None:
    """Where a clockwise quadrilateral of horizontal text starts, where that is not the text's upper left; None if it is
    right or not clear.

    A first side that is short, while the long sides are horizontal, starts at the upper right or the lower left; a long
    first side from right to left starts at the lower right.
    """
    if len(polygon) != 4:
        return None
    points = polygon.astype(np.float64)
    first, second = points[1] - points[0], points[2] - points[1]
    long, other = float(np.hypot(*first)), float(np.hypot(*second))
    if long >= _ELONGATED * other:
        return "lower right" if first[0] < -2 * abs(first[1]) else None
    if other >= _ELONGATED * long and abs(second[0]) > 2 * abs(second[1]):
        return "upper right" if second[0] < 0 else "lower left"
    return None


def in_order(polygon: Polygon) -> Polygon:
    """A clockwise quadrilateral of the points of one that crosses itself; other polygons stay as they are."""
    points = polygon.astype(np.float64)
    if len(polygon) == 4:
        x, y = (points - points.mean(axis=0)).T
        order = np.argsort(np.arctan2(y, x), kind="stable")
        points = points[order]
    return points.astype(np.float32)


def started_at_upper_left(polygon: Polygon) -> Polygon:
    """A clockwise quadrilateral with its first side along horizontal text, from left to right."""
    start = wrong_start(polygon)
    shift = {"lower right": 2, "upper right": 3, "lower left": 1}.get(start or "", 0)
    return np.roll(polygon, -shift, axis=0)


def rotated_points(polygon: Polygon, orientation: int, height: int, width: int) -> Polygon:
    """Points of an image before its EXIF rotation, in the image after it, which has this height and width."""
    x, y = polygon.astype(np.float64).T
    mapped = {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (width - y, x),
        7: (width - y, height - x),
        8: (y, height - x),
    }.get(orientation, (x, y))
    return np.stack(mapped, axis=1).astype(np.float32)


def repeats(polygons: Sequence[Polygon], table: PolygonTable) -> list[tuple[int, int]]:
    """Pairs of polygons that cover the same place: their upright boxes differ by less than a twentieth of their sides,
    and so do their areas."""
    if len(polygons) < 2:
        return []
    boxes = np.concatenate([table.low, table.high], axis=1)
    order = np.lexsort(boxes.T[::-1])
    found = []
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    left = boxes[order, 0]
    for rank, i in enumerate(order.tolist()):
        limit = np.tile(sides[i] / 20, 2)
        stop = int(np.searchsorted(left, boxes[i, 0] + limit[0], "right"))
        for j in order[rank + 1 : stop].tolist():
            if (np.abs(boxes[i] - boxes[j]) <= limit).all():
                areas = abs(table.area[i]), abs(table.area[j])
                if max(areas) <= 1.1 * min(areas) + 1:
                    found.append((min(i, j), max(i, j)))
    return sorted(found)
