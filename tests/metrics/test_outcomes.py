"""What became of single images adds up to the main value, for each metric."""

import json

import numpy as np
import pytest

from ocrexp.metrics.cls import ClsMetric
from ocrexp.metrics.det import DetMetric
from ocrexp.metrics.rec import RecMetric
from ocrexp.report.differences import text_card
from ocrexp.results import (
    ClsPrediction,
    ClsReference,
    DetPrediction,
    DetReference,
    HasOutcomes,
    RecPrediction,
    RecReference,
)


def box(left: float, top: float, size: float = 10) -> np.ndarray:
    return np.array([[left, top], [left + size, top], [left + size, top + size], [left, top + size]], np.float32)


def texts(*pairs: tuple[str, str]):
    return [(RecPrediction(read, np.float32(0.5)), RecReference(label)) for label, read in pairs]


PAGES = [
    (DetPrediction([box(0, 0), box(50, 50)], [0.9, 0.8]), DetReference([box(1, 0), box(20, 20)], [False, False])),
    (DetPrediction([box(0, 0)], [0.9]), DetReference([box(0, 0), box(30, 0)], [True, False])),  # in an ignored region
    (DetPrediction([], []), DetReference([box(0, 0)], [False])),
    (DetPrediction([box(5.4, 5.6)], [0.7]), DetReference([], [])),
]
LINES = texts(("Total", "Total"), ("12.50", "12,50"), ("a b", "ab"), ("CASE", "case"), ("x", ""))
TURNS = [(ClsPrediction("0", 0.9), ClsReference("0")), (ClsPrediction("180", 0.6), ClsReference("0"))]


@pytest.mark.parametrize(
    ("metric", "pairs"),
    [
        (DetMetric(), PAGES),
        (RecMetric(), LINES),
        (RecMetric("norm_edit_distance"), LINES),
        (RecMetric("accuracy_no_spaces"), LINES),
        (RecMetric(case="lower"), LINES),
        (ClsMetric(), TURNS),
    ],
)
def test_hits_and_of_give_the_main_value(metric, pairs) -> None:
    assert isinstance(metric, HasOutcomes)
    predictions, references = map(list, zip(*pairs, strict=True))
    metric.update(predictions, references)
    outcomes = [metric.outcome(*pair) for pair in pairs]
    hits, of = (sum(one[name] for one in outcomes) for name in ("hits", "of"))
    assert hits / of == pytest.approx(metric.compute()[metric.main])
    assert json.loads(json.dumps(outcomes)) == outcomes  # plain values, also of numpy's scores


def test_an_outcome_shows_texts_and_regions() -> None:
    assert RecMetric().outcome(*LINES[1]) == {"hits": 0.0, "of": 1, "label": "12.50", "read": "12,50", "score": 0.5}
    page = DetMetric().outcome(*PAGES[0])  # without an update before
    assert (page["hits"], page["of"], page["missed"], page["wrong"]) == (2, 4, 1, 1)
    assert page["truth"][0] == [1, 0, 11, 0, 11, 10, 1, 10]
    assert DetMetric().outcome(*PAGES[1])["ignored"] == [0]
    assert DetMetric().outcome(*PAGES[3])["found"] == [[5, 6, 15, 6, 15, 16, 5, 16]]


def test_colors_follow_the_case_of_the_metric() -> None:
    outcome = RecMetric(case="upper").outcome(RecPrediction("Net .Amt", 0.9), RecReference("NET AMT"))
    label, read = text_card({"path": "missing.png", **outcome}, {"path": "missing.png", **outcome}).lines[:2]
    assert label[1] == [("NET AMT", "")]
    assert [piece for piece in read[1] if piece[1] == "wrong"] == [(".", "wrong")]
    assert "".join(text for text, _ in read[1]) == "Net .Amt"
