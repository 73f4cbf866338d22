"""EAST's postprocess: PaddleOCR's quadrilaterals, and where it errs and we do not."""

import cv2
import numpy as np
import pytest

from ocrexp.data.targets.locality import merge_and_suppress
from ocrexp.postprocess.east import EASTPostProcess


def test_quadrilaterals_are_those_of_paddleocr(golden) -> None:
    """To a pixel: it cuts off the fractions that are rounded here."""
    with np.load(golden / "postprocess" / "east.npz") as arrays:
        stored = dict(arrays)
    outputs = {"f_score": stored["f_score"][None], "f_geo": stored["f_geo"][None]}
    (found,) = EASTPostProcess()(outputs, {"shape": stored["shape"]})
    assert len(found.polygons) == len(stored["boxes"]) == 9
    difference = np.array(found.polygons) - stored["boxes"]
    assert difference.min() >= 0 and difference.max() <= 1
    assert all(0.1 < score <= 1 for score in found.scores) and all(p.dtype == np.float32 for p in found.polygons)


def test_quadrilaterals_are_clipped_to_the_image_and_run_clockwise() -> None:
    score, geometry = np.zeros((1, 1, 16, 16), np.float32), np.zeros((1, 8, 16, 16), np.float32)
    score[0, 0, 3:6, 4:9] = 0.9
    corners = np.array([[-10, 8], [50, 8], [50, 28], [-10, 28]], np.float32)[[2, 1, 0, 3]]  # counterclockwise
    rows, columns = np.indices((16, 16)) * 4
    geometry[0, ::2], geometry[0, 1::2] = columns - corners[:, :1, None], rows - corners[:, 1:, None]
    outputs = {"f_score": score, "f_geo": geometry}
    (found,) = EASTPostProcess(cover_thresh=0.05)(outputs, {"shape": np.array([[64.0, 64.0, 1.0, 1.0]])})
    assert [polygon.tolist() for polygon in found.polygons] == [[[0, 8], [50, 8], [50, 28], [0, 28]]]
    (nothing,) = EASTPostProcess(score_thresh=0.95)(outputs, {"shape": np.array([[64.0, 64.0, 1.0, 1.0]])})
    assert nothing.polygons == [] and nothing.scores == []


def test_suppression_compares_areas_exactly() -> None:
    """Against OpenCV's intersection of random quadrilaterals: neighbors in the list join, others suppress."""
    generator = np.random.default_rng(0)
    joined = 0
    for _ in range(200):
        pair = np.stack(
            [cv2.boxPoints(((50, 50), tuple(generator.uniform(20, 60, 2)), generator.uniform(-90, 90))) for _ in "ab"]
        ).astype(np.float64)
        pair[1] += generator.uniform(-30, 30, 2)
        areas = [cv2.contourArea(quad.astype(np.float32)) for quad in pair]
        overlap = cv2.intersectConvexConvex(*pair.astype(np.float32))[0]
        iou = overlap / (sum(areas) - overlap)
        if abs(iou - 0.3) < 1e-3:
            continue
        quads, weights = merge_and_suppress(pair, np.array([0.5, 1.0]), 0.3)
        assert len(quads) == (1 if iou > 0.3 else 2)
        if iou > 0.3:
            np.testing.assert_allclose(quads[0], (pair[0] + 2 * pair[1]) / 3)
            assert weights.tolist() == [1.5]
            joined += 1
    assert 20 < joined < 180


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="nms_thresh: expected a number from 0 to 1, got 2"):
        EASTPostProcess(nms_thresh=2)
