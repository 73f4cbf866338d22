"""Detection metric: PaddleOCR's matches and figures, counted over ranks, nothing dropped without a count."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.bench.metric import drawn_boxes, time_metric
from ocrexp.metrics.det import DetMetric, match_regions
from ocrexp.results import DetPrediction, DetReference

BOX = np.array([[0, 0], [100, 0], [100, 30], [0, 30]], np.float32)
BOW_TIE = np.array([[10, 10], [110, 40], [110, 10], [10, 40]], np.float32)


@pytest.fixture(scope="module")
def cases(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "postprocess" / "det_metric.json").read_text())["cases"]


def reference_of(image: dict[str, Any]) -> DetReference:
    return DetReference([np.array(points, np.float32) for points in image["gt"]], image["ignore"])


def prediction_of(image: dict[str, Any]) -> DetPrediction:
    return DetPrediction([np.array(points, np.float32) for points in image["det"]], [1.0] * len(image["det"]))


def test_figures_are_those_of_paddleocr(cases: dict[str, Any]) -> None:
    for name, case in cases.items():
        metric = DetMetric()
        metric.update([prediction_of(image) for image in case["images"]], [reference_of(i) for i in case["images"]])
        values = metric.compute()
        assert {key: values[key] for key in case["result"]} == pytest.approx(case["result"], rel=1e-12), name


def test_matches_are_those_of_paddleocr(cases: dict[str, Any]) -> None:
    for name, case in cases.items():
        for image in case["images"]:
            match = DetMetric().match(prediction_of(image), reference_of(image))
            # The recorded indices count valid polygons only.
            gt = [index for index in range(match.references) if index not in match.invalid_references]
            det = [index for index in range(match.predictions) if index not in match.invalid_predictions]
            assert sorted([gt.index(a), det.index(b)] for a, b in match.pairs) == sorted(image["matches"]), name
            assert [gt.index(index) for index in match.ignored_references] == image["gt_ignored"], name
            assert [det.index(index) for index in match.ignored_predictions] == image["det_ignored"], name
            counts = (match.counted_references, match.counted_predictions, len(match.pairs))
            assert counts == tuple(image["counts"][key] for key in ("gtCare", "detCare", "detMatched")), name


def test_missed_and_wrong_are_what_is_left() -> None:
    far = BOX + 500
    match = match_regions([BOX, far, BOX + 1000], [False, False, True], [BOX + 1, BOX + 300, BOX + 1000])
    assert match.pairs == [(0, 0)] and match.missed == [1] and match.wrong == [1]
    assert match.ignored_references == [2] and match.ignored_predictions == [2]


def test_invalid_polygons_are_counted() -> None:
    line = np.array([[0, 0], [5, 5]], np.float32)
    metric = DetMetric()
    metric.update([DetPrediction([BOX, BOW_TIE, line], [1.0] * 3)], [DetReference([BOX, BOW_TIE], [False, True])])
    values = metric.compute()
    assert (values["precision"], values["recall"]) == (1.0, 1.0)
    assert (values["invalid_references"], values["invalid_predictions"]) == (1.0, 2.0)
    metric.reset()
    assert metric.compute() == {"precision": 0.0, "recall": 0.0, "hmean": 0.0}


def test_the_area_of_matched_boxes_by_that_of_the_labels() -> None:
    smaller = np.array([[10, 0], [90, 0], [90, 24], [10, 24]], np.float32)  # 80 × 24 of 100 × 30
    larger = BOX * np.array([1.1, 1.0], np.float32)
    metric = DetMetric()
    metric.update([DetPrediction([smaller, BOX + 500], [1.0, 1.0])], [DetReference([BOX, BOX + 1000], [False, False])])
    assert metric.compute()["area_ratio"] == pytest.approx(0.64)  # the box that matches nothing does not count
    metric.update([DetPrediction([larger], [1.0])], [DetReference([BOX], [False])])
    assert metric.compute()["area_ratio"] == pytest.approx((0.64 + 1.1) / 2)
    metric.reset()
    metric.update([DetPrediction([], [])], [DetReference([BOX], [False])])
    assert "area_ratio" not in metric.compute()


def test_ranks_together_give_what_one_gives(cases: dict[str, Any]) -> None:
    images = [image for case in cases.values() for image in case["images"]]
    alone, ranks = DetMetric(), [DetMetric(), DetMetric()]
    for index, image in enumerate(images):
        alone.update([prediction_of(image)], [reference_of(image)])
        ranks[index % 2].update([prediction_of(image)], [reference_of(image)])
    states = [pickle.loads(pickle.dumps(rank.state())) for rank in ranks]
    ranks[0].merge(states)
    assert ranks[0].compute() == alone.compute()


def test_thresholds_act() -> None:
    shifted = [BOX + np.array([25, 0], np.float32)]  # IoU 0.6
    assert len(match_regions([BOX], [False], shifted, iou_threshold=0.5).pairs) == 1
    assert match_regions([BOX], [False], shifted, iou_threshold=0.7).pairs == []
    assert match_regions([BOX], [True], shifted, ignored_overlap=0.8).ignored_predictions == []


def test_lists_of_other_length_and_bad_thresholds_are_errors() -> None:
    with pytest.raises(ValueError, match="zip"):
        DetMetric().update([DetPrediction([], [])], [])
    with pytest.raises(ValueError, match="iou_threshold"):
        DetMetric(iou_threshold=1.0)


def test_agrees_with_a_plain_pairwise_count_on_drawn_boxes() -> None:
    import shapely

    reference, prediction = drawn_boxes(50)
    match = DetMetric().match(prediction, reference)
    gt, det = [shapely.Polygon(p) for p in reference.polygons], [shapely.Polygon(p) for p in prediction.polygons]
    for row, column in match.pairs:
        assert gt[row].intersection(det[column]).area / gt[row].union(det[column]).area > 0.5
    assert len(match.pairs) + len(match.missed) + len(match.ignored_references) == 50
    assert 0 < time_metric(boxes=5, repeats=3)["metric_ms"] < 1000
