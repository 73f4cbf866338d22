"""End-to-end figures: a region is right where box and text are, and each half shows its own faults."""

import numpy as np
import pytest

from ocrexp.metrics.det import DetMetric
from ocrexp.metrics.system import SystemMetric, SystemPrediction
from ocrexp.results import DetPrediction, DetReference


def box(x):
    return np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]], np.float32)


def reference(texts, ignored=None):
    return DetReference([box(20 * i) for i in range(len(texts))], list(ignored or [False] * len(texts)), list(texts))


def prediction(texts, places=None):
    places = places if places is not None else range(len(texts))
    return SystemPrediction([box(20 * i) for i in places], [0.9] * len(texts), list(texts))


def compute(predicted, labelled, **settings):
    metric = SystemMetric(**settings)
    metric.update([predicted], [labelled])
    return metric.compute()


def test_box_and_text_must_be_right():
    # four labels: one right, one misread, one missed, one right; and one box where there is nothing
    values = compute(prediction(["a", "x", "d", "?"], [0, 1, 3, 9]), reference(["a", "b", "c", "d"]))
    assert values["precision"] == 2 / 4
    assert values["recall"] == 2 / 4
    assert values["hmean"] == 0.5
    assert values["det_precision"] == values["det_recall"] == 3 / 4
    assert values["rec_accuracy"] == pytest.approx(2 / 3)
    assert values["recall"] == pytest.approx(values["det_recall"] * values["rec_accuracy"])


def test_case_and_spaces_are_compared_as_asked():
    labelled, predicted = reference(["Straße 5", "NÄH E"]), prediction(["STRASSE 5", "näh e"])
    assert compute(predicted, labelled)["rec_accuracy"] == 1
    assert compute(predicted, labelled, case="keep")["rec_accuracy"] == 0
    joined = prediction(["straße5", "nähe"])
    assert compute(joined, labelled)["rec_accuracy"] == 0
    assert compute(joined, labelled, ignore_space=True)["rec_accuracy"] == 1


def test_a_text_typed_in_another_unicode_form_is_the_same():
    assert compute(prediction(["e\u0301"]), reference(["\u00e9"]), case="keep")["hmean"] == 1


def test_regions_to_ignore_count_neither_way():
    values = compute(prediction(["a", "read anyway"]), reference(["a", "###"], [False, True]))
    assert values["hmean"] == values["det_hmean"] == 1


def test_boxes_are_counted_as_the_detection_metric_does():
    rng = np.random.default_rng(0)
    metric, boxes = SystemMetric(), DetMetric()
    for _ in range(5):
        labelled = reference(["t"] * 6, (rng.random(6) < 0.3).tolist())
        moved = [polygon + rng.uniform(-6, 6, 2).astype(np.float32) for polygon in labelled.polygons]
        metric.update([SystemPrediction(moved, [0.5] * 6, ["t"] * 6)], [labelled])
        boxes.update([DetPrediction(moved, [0.5] * 6)], [labelled])
    values = metric.compute()
    counted = boxes.compute()
    assert all(values[f"det_{name}"] == counted[name] for name in ("precision", "recall", "hmean"))
    assert values["hmean"] == values["det_hmean"]  # every text is right


def test_nothing_counted_is_zero_and_states_add_up():
    empty = SystemMetric()
    assert set(empty.compute().values()) == {0.0}
    parts = [SystemMetric(), SystemMetric()]
    whole = SystemMetric()
    for part, text in zip(parts, ("a", "b"), strict=True):
        pair = ([prediction([text])], [reference(["a"])])
        part.update(*pair)
        whole.update(*pair)
    empty.merge([part.state() for part in parts])
    assert empty.compute() == whole.compute()


def test_severity_orders_images_by_their_share_of_faults():
    metric = SystemMetric()
    good, poor = prediction(["a", "b"]), prediction(["a", "x"])
    labelled = reference(["a", "b"])
    assert metric.severity(good, labelled) == 0
    assert metric.severity(poor, labelled) == 0.5


def test_an_unknown_case_is_refused():
    with pytest.raises(ValueError, match=r"case: expected .* got upper"):
        SystemMetric(case="upper")
