"""Times the DB postprocess on a drawn map, one image at a time."""

from __future__ import annotations

import statistics
import time

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.postprocess.db import DBPostProcess

THRESH, BOX_THRESH, UNCLIP_RATIO = 0.3, 0.6, 1.5


def drawn_map(boxes: int = 50, map_shape: tuple[int, int] = (736, 1280), seed: int = 0) -> npt.NDArray[np.float32]:
    """A probability map (H, W) with `boxes` soft-edged slanted bars in a grid, none touching another."""
    rng = np.random.default_rng(seed)
    height, width = map_shape
    columns = max(1, round((boxes * width / height / 3) ** 0.5))
    rows = -(-boxes // columns)
    cell_width, cell_height = width / columns, height / rows
    probability = np.zeros(map_shape, dtype=np.float32)
    for index in range(boxes):
        center = ((index % columns + 0.5) * cell_width, (index // columns + 0.5) * cell_height)
        size = (cell_width * rng.uniform(0.5, 0.75), cell_height * rng.uniform(0.2, 0.35))
        bar = cv2.boxPoints((center, size, float(rng.uniform(-8, 8))))
        cv2.fillPoly(probability, [bar.astype(np.int32)], float(rng.uniform(0.8, 0.98)))
    return cv2.GaussianBlur(probability, (5, 5), 0).astype(np.float32)


def time_postprocess(boxes: int = 50, map_shape: tuple[int, int] = (736, 1280), repeats: int = 30) -> dict[str, float]:
    """Median milliseconds an image for quads and polygons: `quad_fast_ms`, `quad_slow_ms`, `poly_fast_ms`."""
    outputs: dict[str, npt.NDArray[np.generic]] = {"maps": drawn_map(boxes, map_shape)[None, None]}
    batch = {"shape": np.array([[*map_shape, 1.0, 1.0]])}
    figures = {}
    for box_type, score_mode in (("quad", "fast"), ("quad", "slow"), ("poly", "fast")):
        postprocess = DBPostProcess(THRESH, BOX_THRESH, UNCLIP_RATIO, box_type=box_type, score_mode=score_mode)
        postprocess(outputs, batch)  # the first call loads what the later ones find loaded
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            postprocess(outputs, batch)
            seconds.append(time.perf_counter() - start)
        figures[f"{box_type}_{score_mode}_ms"] = statistics.median(seconds) * 1000
    return figures
