"""A metric that stays 0 says its likely cause: each case made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.metrics.rec import RecMetric
from ocrexp.report.causes import detection_causes, learning_rate_causes, recognition_causes
from ocrexp.results import (
    DetPrediction,
    DetReference,
    EvalResult,
    EvalSample,
    RecPrediction,
    RecReference,
    ZeroEvidence,
)

LABELS = ["TOTAL", "RM 5", "cash", "2018", "x", "y"]


def causes(predicted: list[str], truth: list[str] = LABELS, losses: Any = None, **known: Any) -> str:
    """The lines for these predictions, as one text."""
    metric = RecMetric()
    samples = [
        EvalSample(f"crop_{number}.jpg", RecPrediction(text, 0.5), RecReference(label))
        for number, (text, label) in enumerate(zip(predicted, truth, strict=True))
    ]
    metric.update([sample.prediction for sample in samples], [sample.reference for sample in samples])
    result = EvalResult(metric.compute(), samples, len(samples), 1.0, [], [], metric.details())
    passed_over = known.pop("passed_over", 0)
    return "\n".join(recognition_causes(ZeroEvidence(result, losses or {}, 0.0, passed_over), **known))


def test_all_blank() -> None:
    assert "all 6 outputs are empty" in causes([""] * 6)
    assert "5 of 6 outputs are empty" in causes([""] * 5 + ["a"])


def test_one_class_only() -> None:
    assert "the only character of all outputs is 'e'" in causes(["e", "ee", "e", "e", "", "e"])
    assert "the first 6 images are all read as 'the'" in causes(["the"] * 6)


def test_what_alone_is_wrong() -> None:
    assert "charset.use_space_char=true" in causes(["RM5"], ["RM 5"])
    assert "accuracy_ignore_case is 1.000" in causes(["total"], ["TOTAL"])
    assert "characters are read" in causes(["TOTAI"], ["TOTAL"])
    assert "characters are being read" not in causes(["zzz"], ["TOTAL"])


@pytest.mark.parametrize(
    ("losses", "line"),
    [
        ({"train/loss": 0.0}, "train/loss is exactly 0"),
        ({"train/loss": float("inf")}, "train/loss is inf"),
        ({"train/loss": 3.0, "train/loss_ctc": 0.01}, "train/loss_ctc is 0.01, so the training texts are learned"),
    ],
)
def test_losses(losses: dict[str, float], line: str) -> None:
    assert line in causes([""] * 6, losses=losses)
    assert "train/loss" not in causes([""] * 6, losses={"train/loss": 2.5})


def test_steps_whose_loss_was_not_finite() -> None:
    assert "7 steps were skipped" in causes([""] * 6, passed_over=7)


def test_labels_that_the_charset_cannot_write() -> None:
    places = [(text, f"val.txt:{line}") for line, text in enumerate(LABELS, 1)]
    text = causes([""] * 6, charset=Charset("0123456789"), labels=lambda: places)
    assert "the charset cannot write 83% of the evaluation's labels" in text
    assert "characters outside the charset" in text
    lower = Charset("0123456789abcdefghijklmnopqrstuvwxyz ", lower=True)
    text = causes([""] * 6, charset=lower, labels=lambda: places)
    assert "2 of 6 evaluation labels have upper case; metric.case=lower" in text
    assert "cannot be written" not in text


def test_a_head_that_was_not_loaded_and_hints() -> None:
    text = causes([""] * 6, head_share=0.1, hints=["model.freeze=['backbone']: these parts are not trained"])
    assert "only 10% of the head was loaded from model.pretrained" in text
    assert "model.freeze" in text
    assert "head" not in causes([""] * 6, head_share=1.0)


def test_the_first_five_texts_stand_beside_their_labels() -> None:
    text = causes(["a", "b", "c", "d", "e", "f"])
    assert "label 'TOTAL' is read as 'a' (score 0.50): crop_0.jpg" in text
    assert "crop_4.jpg" in text and "crop_5.jpg" not in text


def test_detection_speaks_of_regions() -> None:
    lines = detection_causes(ZeroEvidence(EvalResult({"hmean": 0.0}, [], 0, 1.0), {}, 0.5), hints=["hint"])
    assert lines[0].startswith("50% of the inspected training samples have empty targets")
    assert "hint" in lines
    assert any("postprocess.box_thresh" in line for line in lines)


def test_no_evaluation_sample_is_no_trouble() -> None:
    assert recognition_causes(ZeroEvidence(EvalResult({"accuracy": 0.0}, [], 0, 1.0), {}, None)) == []


def test_detection_names_only_causes_that_hold() -> None:
    sample = EvalSample("a.png", DetPrediction([np.zeros((4, 2), np.float32)], [0.9]), DetReference([], []))
    found = ZeroEvidence(EvalResult({"hmean": 0.0}, [sample], 1, 1.0), {}, 0.0)
    text = "\n".join(detection_causes(found))
    assert "1 regions are found" in text
    assert "box_thresh" not in text and "empty targets" not in text


@pytest.mark.parametrize(
    ("lr", "first", "last", "words"),
    [
        (0.0, 3.0, 1.0, ["is 0", "optim.lr"]),
        (0.01, 3.0, 4.0, ["from 3 to 4", "too high", "a tenth of optim.lr"]),
        (1e-6, 3.0, 2.95, ["from 3 to 2.95", "hardly", "ten times optim.lr"]),
    ],
)
def test_the_learning_rate_is_named_where_the_loss_shows_that_it_is_wrong(lr, first, last, words) -> None:
    (line,) = learning_rate_causes(lr, first, last)
    assert all(word in line for word in words)


@pytest.mark.parametrize(
    ("first", "last"), [(3.0, 1.0), (0.0, 0.0), (None, 1.0), (3.0, None), (3.0, float("nan")), (float("inf"), 1.0)]
)
def test_a_loss_that_falls_or_is_not_known_says_nothing_of_the_learning_rate(first, last) -> None:
    assert learning_rate_causes(0.001, first, last) == []
