"""A page of straight and curved regions, and what its target maps would be as a network's output."""

from typing import Any

import numpy as np

from ocrexp.metrics.det import DetMetric
from ocrexp.results import DetPrediction, DetReference

SIZE = (320, 320)


def arc(x: float, y: float, radius: float, width: float, start: float, end: float, points: int = 7) -> np.ndarray:
    """A bent region of 2 · `points` points: from `start` to `end` degrees around (x, y)."""
    angles = np.radians(np.linspace(start, end, points))
    outer, inner = (
        np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], axis=1) for r in (radius, radius - width)
    )
    return np.concatenate([outer, inner[::-1]]).astype(np.float32)


POLYGONS = [
    np.array([[10, 10], [150, 16], [148, 46], [9, 40]], np.float32),
    arc(210, 180, 95, 28, 180, 330),
    arc(210, 180, 55, 24, 200, 350),
    np.array([[20, 240], [140, 240], [140, 264], [20, 264]], np.float32),
    np.array([[20, 266], [140, 266], [140, 290], [20, 290]], np.float32),
]


def sample_of(polygons: list[np.ndarray], ignored: Any = None, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    return {
        "image": np.zeros((*size, 3), np.uint8),
        "polygons": [np.asarray(polygon, np.float32) for polygon in polygons],
        "ignored": np.zeros(len(polygons), bool) if ignored is None else np.array(ignored, bool),
    }


def figures(prediction: DetPrediction, polygons: list[np.ndarray] = POLYGONS) -> dict[str, float]:
    metric = DetMetric()
    metric.update([prediction], [DetReference(list(polygons), [False] * len(polygons), ["text"] * len(polygons))])
    return metric.compute()
