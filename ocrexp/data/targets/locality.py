"""Locality-aware suppression of EAST (Zhou et al., arXiv 1704.03155, algorithm 1), for quadrilaterals.

Quadrilaterals of neighboring pixels are averaged first, those that are left suppress each other. Plain floats: most
calls look at two quadrilaterals, for which arrays or a library of geometry cost ten times as much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Quads = npt.NDArray[np.float64]  # (n, 4, 2)
Ring = list[tuple[float, float]]  # or lists of two


def merge_and_suppress(
    quads: Quads, scores: npt.NDArray[np.float64], threshold: float
) -> tuple[Quads, npt.NDArray[np.float64]]:
    """The quadrilaterals that are left, and the sum of the scores of those in each, the largest first.

    Args:
        quads: in the order of their pixels, row by row.
        scores: above 0.
        threshold: IoU above which two are of the same region.
    """
    merged, weights = _merge(quads, scores, threshold)
    order = np.argsort(-weights, kind="stable")
    merged, weights = merged[order], weights[order]
    low, high = merged.min(axis=1), merged.max(axis=1)
    left = np.ones(len(merged), bool)
    rings = merged.tolist()
    areas = np.array([_quad_area(ring) for ring in rings])
    sizes = np.abs(areas)
    for index in range(len(merged)):
        if not left[index]:
            continue
        later = slice(index + 1, None)
        shared = np.clip(np.minimum(high[index], high[later]) - np.maximum(low[index], low[later]), 0, None).prod(
            axis=1
        )
        possible = shared > threshold * np.maximum(sizes[index] + sizes[later] - shared, 0)
        for other in (index + 1 + np.flatnonzero(possible & left[later])).tolist():
            if _iou(rings[other], rings[index], areas[other], areas[index]) > threshold:
                left[other] = False
    return merged[left], weights[left]


def _merge(quads: Quads, scores: npt.NDArray[np.float64], threshold: float) -> tuple[Quads, npt.NDArray[np.float64]]:
    """Weighted means of runs: each quadrilateral joins the mean before it where both overlap enough."""
    merged: list[Ring] = []
    weights: list[float] = []
    for quad, score in zip(quads.tolist(), scores.tolist(), strict=True):
        if merged and _iou(quad, merged[-1], _quad_area(quad), _quad_area(merged[-1])) > threshold:
            old = weights[-1]
            total = score + old
            merged[-1] = [
                ((score * x + old * u) / total, (score * y + old * v) / total)
                for (x, y), (u, v) in zip(quad, merged[-1], strict=True)
            ]
            weights[-1] = total
        else:
            merged.append(quad)
            weights.append(score)
    return np.array(merged).reshape(-1, 4, 2), np.array(weights)


def _iou(one: Ring, other: Ring, area: float, other_area: float) -> float:
    """Of two rings with these signed areas."""
    overlap = abs(_area(_clipped(one, other if other_area > 0 else other[::-1])))
    area, other_area = abs(area), abs(other_area)
    overlap = min(overlap, area, other_area)
    union = area + other_area - overlap
    return overlap / union if union > 0 else 0.0


def _quad_area(ring: Ring) -> float:
    """`_area` of four points: half of the cross product of the diagonals."""
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = ring
    return ((x3 - x1) * (y4 - y2) - (x4 - x2) * (y3 - y1)) / 2


def _area(ring: Ring) -> float:
    """Signed; positive where the points run clockwise on screen."""
    if len(ring) < 3:
        return 0.0
    x0, y0 = ring[0]
    area = 0.0
    x1, y1 = ring[1]
    for x2, y2 in ring[2:]:
        area += (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        x1, y1 = x2, y2
    return area / 2


def _clipped(ring: Ring, convex: Ring) -> Ring:
    """The part of a ring inside a convex one, whose points run clockwise on screen (Sutherland and Hodgman)."""
    x1, y1 = convex[-1]
    for x2, y2 in convex:
        dx, dy = x2 - x1, y2 - y1
        sides = [dx * (y - y1) - dy * (x - x1) for x, y in ring]
        if min(sides) < 0:
            if max(sides) < 0:
                return []
            kept: Ring = []
            px, py = ring[-1]
            before = sides[-1]
            for (qx, qy), side in zip(ring, sides, strict=True):
                if (before < 0) != (side < 0):
                    share = before / (before - side)
                    kept.append((px + share * (qx - px), py + share * (qy - py)))
                if side >= 0:
                    kept.append((qx, qy))
                px, py, before = qx, qy, side
            ring = kept
        x1, y1 = x2, y2
    return ring
