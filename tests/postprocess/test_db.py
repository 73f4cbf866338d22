"""DB postprocess: PaddleOCR's boxes and scores, and the places where it errs and we do not."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.bench.postprocess import drawn_map, time_postprocess
from ocrexp.postprocess.db import DBPostProcess
from ocrexp.results import DetPrediction

OPENCV_MAJOR = int(cv2.__version__.split(".", maxsplit=1)[0])
# Near-ties that OpenCV 4 and 5 decide differently; the numbers were recorded with 5.
OTHER_IN_OPENCV_4 = {"map3.quad_slow", "map3.quad_fast_low", "map6.thresh_high", "map7.poly_dilation"}


@pytest.fixture(scope="module")
def cases(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(golden / "postprocess" / "db_postprocess.npz") as arrays:
        maps = {name: arrays[name].astype(np.float32) / np.float32(255) for name in arrays.files}
    return json.loads((golden / "postprocess" / "db_postprocess.json").read_text()), maps


def run(postprocess: DBPostProcess, probability: np.ndarray, shape: list[float] | None = None) -> DetPrediction:
    height, width = probability.shape
    batch = {"shape": np.array([shape or [height, width, 1.0, 1.0]], dtype=np.float64)}
    return postprocess({"maps": probability[None, None].astype(np.float32)}, batch)[0]


def test_boxes_and_scores_are_those_of_paddleocr(cases: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    recorded, maps = cases
    compared = 0
    for key, expected in recorded["results"].items():
        name, config = key.split(".")
        if OPENCV_MAJOR < 5 and key in OTHER_IN_OPENCV_4:
            continue
        postprocess = DBPostProcess(**recorded["configs"][config])
        found = run(postprocess, maps[name], recorded["maps"][name]["shape_list"])
        assert [polygon.tolist() for polygon in found.polygons] == expected["boxes"], key
        if config != "poly_slow_requested":  # PaddleOCR scores it fast, see below
            np.testing.assert_allclose(found.scores, expected["scores"], rtol=1e-9, err_msg=key)
        compared += 1
    assert compared >= 140


def test_polygons_and_scores_have_the_promised_types(cases: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    found = run(DBPostProcess(box_type="poly", box_thresh=0.3), cases[1]["map3"])
    assert found.polygons and all(p.dtype == np.float32 and p.ndim == 2 and p.shape[1] == 2 for p in found.polygons)
    assert all(isinstance(score, float) and 0.3 <= score <= 1 for score in found.scores)


def test_a_batch_gives_what_its_images_give(cases: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    image = cases[1]["map0"]
    maps = np.stack([image, np.zeros_like(image), image[::-1]])[:, None]
    shapes = np.array([[720, 1280, 352 / 720, 0.5]] * 3)
    together = DBPostProcess(box_thresh=0.6)({"maps": maps}, {"shape": shapes})
    assert len(together) == 3 and together[1].polygons == [] and together[1].scores == []
    for index in (0, 2):
        alone = DBPostProcess(box_thresh=0.6)({"maps": maps[index : index + 1]}, {"shape": shapes[index : index + 1]})
        np.testing.assert_array_equal(together[index].polygons, alone[0].polygons)


def test_slow_score_is_kept_for_polygons() -> None:
    """An outline with a notch that the simplified polygon cuts off; PaddleOCR scores polygons fast in any case."""
    probability = np.zeros((64, 640), np.float32)
    probability[20:40, 10:610] = 0.9
    probability[38:40, 200:400] = 0.1  # two pixels deep, the outline is simplified by up to 0.002 of 1240
    fast = run(DBPostProcess(box_type="poly", box_thresh=0.1, score_mode="fast"), probability)
    slow = run(DBPostProcess(box_type="poly", box_thresh=0.1, score_mode="slow"), probability)
    assert len(fast.polygons) == len(slow.polygons) == 1
    assert slow.scores[0] == pytest.approx(0.9, abs=1e-6)
    assert fast.scores[0] < 0.89


def test_a_gap_that_unclipping_closes_keeps_the_region() -> None:
    """A ring with a small opening: grown, it closes around a hole. PaddleOCR drops it, here its outer ring stays."""
    probability = np.zeros((200, 200), np.float32)
    cv2.ellipse(probability, (100, 100), (60, 60), 0, 10, 350, 0.95, 12)
    found = run(DBPostProcess(box_type="poly", box_thresh=0.5, unclip_ratio=1.5), probability)
    assert len(found.polygons) == 1
    low, high = found.polygons[0].min(axis=0), found.polygons[0].max(axis=0)
    assert (low < 40).all() and (high > 160).all()


def test_boxes_of_a_padded_image_land_where_the_text_is() -> None:
    """A 10×20 image is padded to 32×32, then enlarged to 736×736: ratios 23, 23 and not 73.6, 36.8."""
    probability = np.zeros((736, 736), np.float32)
    probability[2 * 23 : 8 * 23, 3 * 23 : 17 * 23] = 0.9  # text over y 2…8, x 3…17 of the source
    found = run(DBPostProcess(unclip_ratio=0.0, box_thresh=0.5), probability, [10, 20, 23.0, 23.0])
    np.testing.assert_array_equal(found.polygons[0], [[3, 2], [17, 2], [17, 8], [3, 8]])
    whole = np.ones((736, 736), np.float32)
    clipped = run(DBPostProcess(), whole, [10, 20, 23.0, 23.0])
    np.testing.assert_array_equal(clipped.polygons[0], [[0, 0], [20, 0], [20, 10], [0, 10]])


def test_the_largest_candidates_can_be_kept_instead_of_the_first() -> None:
    probability = np.zeros((100, 100), np.float32)
    probability[10:30, 10:90] = 0.9  # text at the top
    probability[60:98:6, 5:95:6] = 0.9  # specks below, which are found first
    first = run(DBPostProcess(max_candidates=5), probability)
    largest = run(DBPostProcess(max_candidates=5, largest_candidates=True), probability)
    assert first.polygons == []
    assert len(largest.polygons) == 1 and largest.polygons[0][:, 1].max() < 50


def test_holes_can_be_left_out() -> None:
    probability = np.zeros((100, 100), np.float32)
    probability[10:90, 10:90] = 0.9
    probability[40:60, 40:60] = 0.28
    settings = {"box_thresh": 0.25}
    assert len(run(DBPostProcess(**settings), probability).polygons) == 2
    assert len(run(DBPostProcess(skip_holes=True, **settings), probability).polygons) == 1
    assert run(DBPostProcess(skip_holes=True), np.zeros((8, 8))).polygons == []


def test_nan_and_full_maps_do_not_raise() -> None:
    assert run(DBPostProcess(), np.full((32, 32), np.nan)).polygons == []
    assert len(run(DBPostProcess(), np.ones((32, 32))).polygons) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"score_mode": "mean"}, "fast or slow"),
        ({"box_type": "polygon"}, "quad or poly"),
        ({"max_candidates": 0}, "expected 1 or more"),
        ({"unclip_ratio": -1.0}, "expected 0 or more"),
    ],
)
def test_bad_settings_are_config_errors(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DBPostProcess(**settings)


def test_the_benchmark_sees_all_its_boxes() -> None:
    found = run(DBPostProcess(box_thresh=0.6, unclip_ratio=1.5), drawn_map(50, (736, 1280)))
    assert len(found.polygons) == 50
    assert 0 < time_postprocess(boxes=4, map_shape=(96, 160), repeats=3)["quad_fast_ms"] < 1000
