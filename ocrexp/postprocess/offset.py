"""Growing outlines by Vatti's clipping with round corners, in whole pixels: pyclipper's, and many rectangles at once.

pyclipper offsets one outline a call and hands back lists of lists. Most outlines of text are rectangles, whose offset
is four sides and four arcs: `grown_rectangles` computes the points of all of them together, the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyclipper

Points = npt.NDArray[np.float32] | npt.NDArray[np.int32]  # (n, 2), x then y, in pixels
Ring = list[list[int]]  # points of a grown outline

ARC_TOLERANCE = 0.25  # Clipper's: an arc's chords stay so near to it, in pixels


def grown(outline: Points, distance: float) -> list[Ring]:
    """Rings of an outline (n, 2) grown by a distance in pixels; its fractions are cut off first, as pyclipper does."""
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(outline.astype(np.int64).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    rings: list[Ring] = offset.Execute(distance)
    return rings


def grown_rectangles(
    corners: npt.NDArray[np.float32], distances: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.int32] | None]:
    """Points around rectangles (n, 4, 2), clockwise in the image, each grown by its distance (n,) in pixels.

    They are pyclipper's, in its order, and those on a straight line that it drops; so OpenCV finds the same
    rectangle around them, to the last digit. None if the ring is not made of one arc a corner (tiny distances,
    corners that lost their angle to rounding) and pyclipper must decide: use `grown` there.
    """
    if not len(corners):
        return []
    whole = corners.astype(np.int64).astype(np.float64)
    sides = np.roll(whole, -1, axis=1) - whole
    with np.errstate(invalid="ignore", divide="ignore"):
        units = sides * (1.0 / np.sqrt((sides**2).sum(axis=2, keepdims=True)))
        after = np.stack([units[..., 1], -units[..., 0]], axis=2)  # outward normals of the side behind a corner,
        before = np.roll(after, 1, axis=1)  # and of the side in front of it
        sine = before[..., 0] * after[..., 1] - after[..., 0] * before[..., 1]
        simple = (sine * distances[:, None] >= 1.0).all(axis=1)  # Clipper: bends outwards by a pixel at least
        cosine = (before * after).sum(axis=2)
    chosen = np.flatnonzero(simple)
    if not len(chosen):
        return [None] * len(corners)
    before, after, whole, delta = before[chosen], after[chosen], whole[chosen], distances[chosen]
    angle = np.arctan2(np.minimum(sine[chosen], 1.0), cosine[chosen])
    around = np.minimum(np.pi / np.arccos(1 - ARC_TOLERANCE / delta), delta * np.pi)  # chords of a full turn
    turn_sine, turn_cosine = np.sin(2 * np.pi / around)[:, None], np.cos(2 * np.pi / around)[:, None]
    steps = np.maximum((around[:, None] / (2 * np.pi) * angle + 0.5).astype(np.int64), 1)
    most = int(steps.max())
    directions = np.empty((len(chosen), 4, most + 1, 2))
    x, y = before[..., 0], before[..., 1]
    for step in range(most):
        directions[:, :, step, 0], directions[:, :, step, 1] = x, y
        x, y = x * turn_cosine - turn_sine * y, x * turn_sine + y * turn_cosine
    directions[:, :, most] = after
    exact = whole[:, :, None] + directions * delta[:, None, None, None]
    points = np.trunc(exact + np.copysign(0.5, exact)).astype(np.int32)
    used = np.arange(most + 1) < steps[..., None]
    used[..., most] = True
    points, used = points.reshape(len(chosen), -1, 2), used.reshape(len(chosen), -1)
    # pyclipper's ring ends at the topmost point, of several at the rightmost.
    rank = np.where(used, points[..., 1] * float(2**32) - points[..., 0], np.inf)
    order = (rank.argmin(axis=1)[:, None] + 1 + np.arange(rank.shape[1])) % rank.shape[1]
    points = np.take_along_axis(points, order[..., None], axis=1)
    used = np.take_along_axis(used, order, axis=1)
    result: list[npt.NDArray[np.int32] | None] = [None] * len(corners)
    for index, ring, of_ring in zip(chosen.tolist(), points, used, strict=True):
        result[index] = ring[of_ring]
    return result


def areas_and_perimeters(
    outlines: Sequence[Points] | npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Area and perimeter of each outline (n, 2)."""
    lengths = np.array([len(outline) for outline in outlines])
    starts = np.cumsum(lengths) - lengths
    points = np.concatenate(outlines).astype(np.float64)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    step = points[following] - points
    x, y = (points - np.repeat(points[starts], lengths, axis=0)).T  # large coordinates would cost digits
    areas = np.abs(np.add.reduceat(x * step[:, 1] - y * step[:, 0], starts)) / 2
    return areas, np.add.reduceat(np.hypot(step[:, 0], step[:, 1]), starts)


def as_points(ring: Ring) -> npt.NDArray[np.int32]:
    """A ring as an array (n, 2)."""
    return np.fromiter(chain.from_iterable(ring), dtype=np.int32, count=2 * len(ring)).reshape(-1, 2)
