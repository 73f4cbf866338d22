"""Outlines from the ways in which formats write them, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ocrexp.data.formats.entries import Point, Points

FARTHEST = 1e6  # pixels; no image is as large
MOST_POINTS = 2000  # of an outline
_ROUND = 24  # points of an ellipse


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Two opposite corners as an outline, clockwise from the top left."""
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def sized_box(x: float, y: float, width: float, height: float) -> Points:
    """The top left corner and the size as an outline."""
    return box(x, y, x + width, y + height)


def turned(points: Points, degrees: float, about: Point) -> Points:
    """Points turned about a point, clockwise on the screen."""
    if not degrees:
        return points
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (about[0] + (x - about[0]) * cos - (y - about[1]) * sin, about[1] + (x - about[0]) * sin + (y - about[1]) * cos)
        for x, y in points
    ]


def middle(points: Points) -> Point:
    """The mean of the points."""
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> Points:
    """An ellipse as an outline of 24 points, clockwise from the left end."""
    around = [math.pi * (1 + 2 * i / _ROUND) for i in range(_ROUND)]
    points = [(x + radius_x * math.cos(angle), y + radius_y * math.sin(angle)) for angle in around]
    return turned(points, degrees, (x, y))


def pairs(flat: Sequence[Any]) -> Points:
    """`[x1, y1, x2, y2, …]` as an outline. Raises ValueError for anything else."""
    if len(flat) % 2 or len(flat) < 2:
        raise ValueError(f"expected x and y of each point, got {len(flat)} numbers")
    return [(number(flat[i]), number(flat[i + 1])) for i in range(0, len(flat), 2)]


def points_of(value: Any) -> Points:
    """`[[x, y], …]`, or the flat list, as an outline. Raises ValueError for anything else."""
    if not isinstance(value, list):
        raise ValueError(f"expected points, got {type(value).__name__}")
    if value and not isinstance(value[0], list):
        return pairs(value)
    if not all(isinstance(point, list) and len(point) == 2 for point in value):
        raise ValueError("expected [x, y] for each point")
    return [(number(x), number(y)) for x, y in value]


def number(value: Any) -> float:
    """A coordinate. Raises ValueError for what is not a finite number within reach."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"expected a number, got {str(value)[:20]!r}") from None
    if not math.isfinite(result):
        raise ValueError(f"expected a finite number, got {result}")
    return result


def bounds(points: Points) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def inside(points: Points, width: float, height: float) -> tuple[Points, float]:
    """The upright box of an outline as far as it is in an image of this size, and its share of the whole box."""
    left, top, right, bottom = bounds(points)
    sides = max(0.0, min(right, width) - max(left, 0.0)), max(0.0, min(bottom, height) - max(top, 0.0))
    share = sides[0] * sides[1] / max((right - left) * (bottom - top), 1e-9)
    return sized_box(min(max(left, 0.0), width), min(max(top, 0.0), height), *sides), share


def is_box(points: Points) -> bool:
    """Whether the outline is an upright rectangle."""
    return len(points) == 4 and set(points) == set(box(*bounds(points))) and signed_area(points) != 0


def signed_area(points: Points) -> float:
    """The area, positive for points that run clockwise on the screen."""
    following = [*points[1:], *points[:1]]
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, following, strict=True)) / 2


def clockwise(points: Points) -> Points:
    """The outline clockwise on the screen, from the same first corner."""
    return points if signed_area(points) >= 0 else [points[0], *points[:0:-1]]


def unclosed(points: Points) -> Points:
    """The outline without a last point that is the first one again."""
    return points[:-1] if len(points) > 3 and points[0] == points[-1] else points


def sorted_corners(points: Points) -> Points:
    """The corners of a quadrilateral in any order, clockwise from the top left."""
    x, y = middle(points)
    around = sorted(points, key=lambda point: math.atan2(point[1] - y, point[0] - x))
    first = min(range(len(around)), key=lambda i: sum(around[i]))
    return around[first:] + around[:first]


def smallest_rectangle(points: Points) -> Points:
    """The smallest rotated rectangle around an outline, clockwise from its top left corner."""
    import cv2

    corners = cv2.boxPoints(cv2.minAreaRect(np.asarray(points, np.float32)))
    return sorted_corners([(float(x), float(y)) for x, y in corners])


def fault(points: Points) -> str | None:
    """What is wrong with an outline: too few points, too many, too far, no area; None if nothing is."""
    if len(points) < 3:
        return "with fewer than 3 points"
    if len(points) > MOST_POINTS:
        return f"with more than {MOST_POINTS} points"
    if any(abs(x) > FARTHEST or abs(y) > FARTHEST for x, y in points):
        return f"with a coordinate beyond ±{FARTHEST:,.0f}"
    (x0, y0), rest = points[0], points[1:]
    far = max(rest, key=lambda point: (point[0] - x0) ** 2 + (point[1] - y0) ** 2)
    dx, dy = far[0] - x0, far[1] - y0
    length = math.hypot(dx, dy)
    if length == 0 or all(abs((x - x0) * dy - (y - y0) * dx) <= 1e-6 * length for x, y in rest):
        return "without area"
    return None


def plain(value: float) -> float | int:
    """A coordinate as labels write it: a whole number where it is one, else with 4 decimals at most."""
    short = round(value, 4)
    return int(short) if short == int(short) else short


def as_pairs(points: Points) -> list[list[float | int]]:
    """An outline as `[[x, y], …]`."""
    return [[plain(x), plain(y)] for x, y in points]


def as_flat(points: Points) -> list[float | int]:
    """An outline as `[x1, y1, …]`."""
    return [plain(value) for point in points for value in point]
