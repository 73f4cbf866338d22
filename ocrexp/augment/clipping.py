"""What of regions lies inside a frame, as polygons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ocrexp.augment.geometry import as_polygon, boxes_of
from ocrexp.types import Polygon, Sample

Points = npt.NDArray[np.float64]  # (n, 2)


def clip_polygon(polygon: npt.NDArray[np.floating], width: float, height: float) -> list[Points]:
    """The pieces of a polygon inside the rectangle from (0, 0) to (width, height), each with its area above 0.

    A convex polygon has one piece at most, whose points keep their order; other ones may fall into several. A polygon
    that crosses itself has no inside: its points are moved onto the rectangle.
    """
    points = np.asarray(polygon, np.float64)
    if _is_convex(points):
        for axis, limit in ((0, width), (1, height)):
            points = _above(points, axis, 0.0, 1.0)
            points = _above(points, axis, limit, -1.0)
        return [points] if len(points) > 2 and abs(signed_area(points)) > 1e-9 else []
    if len(points) < 3:
        return []
    import shapely

    shape = shapely.polygons(points)
    if not shapely.is_valid(shape):
        moved = np.clip(points, 0, (width, height))
        return [moved] if np.ptp(moved, axis=0).min() > 0 else []
    inside = shapely.get_parts(shapely.intersection(shape, shapely.box(0, 0, width, height)))
    turn = np.sign(signed_area(points))
    pieces = [shapely.get_coordinates(part.exterior)[:-1] for part in inside if part.area > 0]
    return [piece if np.sign(signed_area(piece)) == turn else piece[::-1] for piece in pieces]


def clip_regions(sample: Sample, width: float, height: float, min_visible: float) -> None:
    """Cut the regions of a sample off at the edges of a frame of this size, in place.

    Regions inside stay as they are. Of the others what is inside stays, as one region or several with the same text;
    pieces of less than `min_visible` of their region's area become ignored.
    """
    polygons, texts = sample["polygons"], sample["texts"]
    ignored = np.asarray(sample["ignored"], dtype=bool)
    boxes = boxes_of(polygons)
    if not len(boxes) or ((boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all()):
        return
    kept: list[tuple[Polygon, str, bool]] = []
    for polygon, text, unread, box in zip(polygons, texts, ignored, boxes, strict=True):
        if box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height:
            kept.append((polygon, text, bool(unread)))
            continue
        whole = abs(signed_area(np.asarray(polygon, np.float64)))
        for piece in clip_polygon(polygon, width, height):
            small = abs(signed_area(piece)) < min_visible * whole
            kept.append((as_polygon(piece), text, bool(unread) or small))
    sample["polygons"] = [polygon for polygon, _, _ in kept]
    sample["texts"] = [text for _, text, _ in kept]
    sample["ignored"] = np.array([unread for _, _, unread in kept], dtype=bool)


def signed_area(points: Points) -> float:
    """Area of a polygon, above 0 if its points go clockwise on screen."""
    x, y = (points - points[0]).T  # near the origin: the products lose no digits
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _is_convex(points: Points) -> bool:
    """Whether all turns go one way, once around; a polygon of no area does not count."""
    if len(points) < 3:
        return False
    edges = np.roll(points, -1, axis=0) - points
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    if not ((turns >= 0).all() or (turns <= 0).all()) or not turns.any():
        return False
    angles = np.arctan2(turns, (edges * following).sum(axis=1))
    return abs(abs(float(angles.sum())) - 2 * np.pi) < 1e-6


def _above(points: Points, axis: int, limit: float, sign: float) -> Points:
    """The part of a convex polygon where sign · (coordinate - limit) >= 0 (Sutherland and Hodgman, 1974)."""
    if not len(points):
        return points
    distances = sign * (points[:, axis] - limit)
    if (distances >= 0).all():
        return points
    if (distances <= 0).all():
        return np.empty((0, 2))
    result = []
    for i in range(len(points)):
        here, there = distances[i], distances[(i + 1) % len(points)]
        if here >= 0:
            result.append(points[i])
        if (here > 0 > there) or (here < 0 < there):
            crossing = points[i] + here / (here - there) * (points[(i + 1) % len(points)] - points[i])
            crossing[axis] = limit  # exactly on the edge
            result.append(crossing)
    return np.array(result).reshape(-1, 2)
