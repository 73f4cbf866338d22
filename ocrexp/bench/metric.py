"""Times the detection metric on drawn boxes, one image at a time."""

from __future__ import annotations

import statistics
import time

import numpy as np

from ocrexp.metrics.det import DetMetric
from ocrexp.results import DetPrediction, DetReference


def drawn_boxes(boxes: int = 50, seed: int = 0) -> tuple[DetReference, DetPrediction]:
    """Boxes in a grid on 1280×720, every seventh ignored, and as many detections a few pixels off."""
    rng = np.random.default_rng(seed)
    columns = 5
    polygons = []
    for index in range(boxes):
        x, y = 20 + index % columns * 250, 10 + index // columns * 70
        width, height = rng.uniform(100, 220), rng.uniform(20, 45)
        slant = rng.uniform(-10, 10)
        corners = [[x, y], [x + width, y + slant], [x + width, y + slant + height], [x, y + height]]
        polygons.append(np.array(corners, dtype=np.float32))
    detected = [polygon + rng.normal(0, 4, (4, 2)).astype(np.float32) for polygon in polygons]
    ignored = [index % 7 == 0 for index in range(boxes)]
    return DetReference(polygons, ignored), DetPrediction(detected, [1.0] * boxes)


def time_metric(boxes: int = 50, repeats: int = 30) -> dict[str, float]:
    """Median milliseconds an image of `boxes` × `boxes`: `metric_ms`."""
    reference, prediction = drawn_boxes(boxes)
    seconds = []
    for _ in range(repeats + 1):
        metric = DetMetric()
        start = time.perf_counter()
        metric.update([prediction], [reference])
        metric.compute()
        seconds.append(time.perf_counter() - start)
    return {"metric_ms": statistics.median(seconds[1:]) * 1000}  # the first call imports shapely
