"""Non-maximum suppression of polygons, by OpenCV alone: a deployed model has no library of geometry."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Polygons = npt.NDArray[np.float32]  # (n, points, 2)

_RASTER = 96  # pixels in each direction of the box of a kept polygon: areas are right to about 2 %
_FRACTION_BITS = 4


def suppress(polygons: Polygons, scores: npt.NDArray[np.floating], threshold: float) -> list[int]:
    """Indices of the polygons that are kept, the best first: each one's IoU with all better kept ones is at most
    `threshold`. Areas within a polygon's own box are counted in pixels of a raster; one without extent is dropped."""
    low, high = polygons.min(axis=1), polygons.max(axis=1)
    areas = _areas(polygons)
    kept: list[int] = []
    rasters: dict[int, npt.NDArray[np.uint8]] = {}
    for index in np.argsort(-scores, kind="stable").tolist():
        if not areas[index] > 0:
            continue
        near = [k for k in kept if (low[k] < high[index]).all() and (low[index] < high[k]).all()]
        # Most candidates lie on the best one of their region.
        if any(_iou(polygons, areas, low, high, rasters, k, index) > threshold for k in near):
            continue
        kept.append(index)
    return kept


def _areas(polygons: Polygons) -> npt.NDArray[np.float64]:
    points = polygons.astype(np.float64) - polygons[:, :1]
    following = np.roll(points, -1, axis=1)
    cross = points[..., 0] * following[..., 1] - points[..., 1] * following[..., 0]
    return np.asarray(np.abs(cross.sum(axis=1)) / 2)


def _iou(
    polygons: Polygons,
    areas: npt.NDArray[np.float64],
    low: npt.NDArray[np.float32],
    high: npt.NDArray[np.float32],
    rasters: dict[int, npt.NDArray[np.uint8]],
    kept: int,
    other: int,
) -> float:
    """IoU of two polygons; the overlap is counted in the box of the kept one, which is stretched to a square."""
    scale = (_RASTER - 1) / (high[kept] - low[kept])
    if kept not in rasters:
        rasters[kept] = _filled((polygons[kept] - low[kept]) * scale)
    inside = _filled((polygons[other] - low[kept]) * scale)
    share = np.count_nonzero(inside & rasters[kept]) / np.count_nonzero(rasters[kept])
    overlap = float(min(share * areas[kept], areas[other]))
    return overlap / (areas[kept] + areas[other] - overlap)


def _filled(points: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    canvas = np.zeros((_RASTER, _RASTER), np.uint8)
    bounded = np.clip(points, -8 * _RASTER, 8 * _RASTER)
    fixed = np.round(bounded * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], 1, shift=_FRACTION_BITS)
    return canvas
