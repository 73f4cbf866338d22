"""From EAST's score and geometry to quadrilaterals (Zhou et al., arXiv 1704.03155)."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.locality import merge_and_suppress
from ocrexp.postprocess.source import to_source
from ocrexp.results import DetPrediction
from ocrexp.types import Batch

STRIDE = 4  # of the network's maps
SHORTEST_SIDE = 5  # pixels of the source image
Floats = npt.NDArray[np.float32]


class EASTPostProcess:
    """Quadrilaterals of each image from `outputs["f_score"]` [N, 1, h, w] and `outputs["f_geo"]` [N, 8, h, w].

    Args:
        score_thresh: a pixel proposes a quadrilateral if its score is above it.
        cover_thresh: a quadrilateral is kept if the mean score inside it is above it.
        nms_thresh: IoU above which two quadrilaterals are of the same region.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (4, 2), clockwise, rounded to whole source pixels and clipped to [0, width] and [0, height]; their scores
    are the mean scores inside. Quadrilaterals with a side below 5 pixels are dropped.

    Where PaddleOCR errs: it cuts off fractions, which moves every corner half a pixel to the top left; boxes reach
    beyond the image; it has no scores; without a package of its own it takes seconds for each page.
    """

    box_type = "quad"

    def __init__(self, score_thresh: float = 0.8, cover_thresh: float = 0.1, nms_thresh: float = 0.2) -> None:
        for name, value in (("score_thresh", score_thresh), ("cover_thresh", cover_thresh), ("nms_thresh", nms_thresh)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
        self.score_thresh = score_thresh
        self.cover_thresh = cover_thresh
        self.nms_thresh = nms_thresh

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        scores = np.asarray(outputs["f_score"], np.float32)[:, 0]
        geometries = np.asarray(outputs["f_geo"], np.float32)
        shapes = np.asarray(batch["shape"], np.float64)
        return [self._regions(*image) for image in zip(scores, geometries, shapes, strict=True)]

    def _regions(self, score: Floats, geometry: Floats, shape: npt.NDArray[np.float64]) -> DetPrediction:
        rows, columns = np.nonzero(score > np.float32(self.score_thresh))
        pixels = np.stack([columns, rows], axis=1)[:, None] * STRIDE
        quads = pixels - geometry[:, rows, columns].T.reshape(-1, 4, 2).astype(np.float64)
        quads, _ = merge_and_suppress(quads, score[rows, columns].astype(np.float64), self.nms_thresh)
        found = [(quad, mean_score(score, quad)) for quad in quads]
        found = [(quad, mean) for quad, mean in found if mean > self.cover_thresh]
        prediction = DetPrediction([], [])
        for polygon, (_, mean) in zip(to_source([quad for quad, _ in found], shape), found, strict=True):
            rounded = np.round(_clockwise(polygon))
            if np.hypot(*(np.roll(rounded, -1, axis=0) - rounded).T).min() >= SHORTEST_SIDE:
                prediction.polygons.append(rounded)
                prediction.scores.append(mean)
        return prediction


def mean_score(score: Floats, quad: npt.NDArray[np.float64]) -> float:
    """Mean of a map at STRIDE inside a quadrilateral in pixels of the image; 0 outside of the map."""
    limit = np.array(score.shape[::-1]) - 1
    points = np.floor_divide(np.clip(quad, -STRIDE, (limit + 1) * STRIDE).astype(np.int32), STRIDE)
    low, high = np.clip(points.min(axis=0), 0, limit), np.clip(points.max(axis=0), 0, limit)
    mask = np.zeros((high - low + 1)[::-1], np.uint8)
    cv2.fillPoly(mask, [(points - low).astype(np.int32)], 1)
    return float(cv2.mean(np.ascontiguousarray(score[low[1] : high[1] + 1, low[0] : high[0] + 1]), mask)[0])


def _clockwise(polygon: Floats) -> Floats:
    """Corners clockwise, the one nearest to the top left first."""
    x, y = polygon.T
    if (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() < 0:
        polygon = polygon[::-1]
    return np.roll(polygon, -int(np.argmin(polygon.sum(axis=1))), axis=0)
