"""RecMetric against PaddleOCR's numbers where they mean the same, and by hand where it does better."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from ocrexp.metrics.rec import RecMetric
from ocrexp.report.figures import figures, space_figures
from ocrexp.results import RecPrediction, RecReference


def measured(*pairs: tuple[str, str], **options: Any) -> dict[str, float]:
    """The values for (prediction, label) pairs."""
    metric = RecMetric(**options)
    metric.update([RecPrediction(p, 0.9) for p, _ in pairs], [RecReference(label) for _, label in pairs])
    return metric.compute()


def golden_cases(golden: Path) -> dict[str, Any]:
    cases: dict[str, Any] = json.loads((golden / "rec" / "rec_metric.json").read_text(encoding="utf-8"))["cases"]
    return cases


CASES = ("plain", "case", "spaces", "empty", "punctuation", "digits_fullwidth", "long", "single_correct")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("spaces", ["true", "false"])
def test_equals_paddleocr_but_for_its_divisor(golden: Path, case: str, spaces: str) -> None:
    """PaddleOCR divides by n + 1e-5: one right text of one scores 0.99999 there, and 1 here."""
    content = golden_cases(golden)[case]
    rows = content["rows"]
    theirs = content["results"][f"ignore_space_{spaces}.is_filter_false"]["get_metric"]
    suffix = "_no_spaces" if spaces == "true" else ""
    ours = measured(*((row["prediction"], row["target"]) for row in rows))
    count = len(rows)
    assert ours[f"accuracy{suffix}"] == pytest.approx(theirs["acc"] * (count + 1e-5) / count, abs=1e-9)
    distance = (1 - theirs["norm_edit_dis"]) * (count + 1e-5) / count
    assert ours[f"norm_edit_distance{suffix}"] == pytest.approx(1 - distance, abs=1e-9)


@pytest.mark.parametrize("case", ("plain", "case", "spaces", "empty", "punctuation", "digits_fullwidth", "long"))
def test_without_case_and_punctuation_equals_is_filter_on_ascii(golden: Path, case: str) -> None:
    content = golden_cases(golden)[case]
    count = len(content["rows"])
    theirs = content["results"]["ignore_space_true.is_filter_true"]["get_metric"]["acc"] * (count + 1e-5) / count
    ours = measured(*((row["prediction"], row["target"]) for row in content["rows"]))
    assert ours["accuracy_ignore_case_punctuation"] == pytest.approx(theirs, abs=1e-9)


def test_one_text_typed_in_two_ways_is_right(golden: Path) -> None:
    """'é' as one code point and as two look the same; PaddleOCR counts them as wrong."""
    assert measured(("cafe\u0301", "caf\u00e9"))["accuracy"] == 1.0
    content = golden_cases(golden)["unicode"]
    ours = measured(*((row["prediction"], row["target"]) for row in content["rows"]))
    normal = sum(row["prediction"] == row["target"] for row in content["rows"])
    assert ours["accuracy"] * 7 >= normal


def test_letters_of_every_script_count_where_punctuation_does_not(golden: Path) -> None:
    """PaddleOCR's is_filter keeps ASCII only: there 한국 equals 한국어, and any Chinese text any other."""
    content = golden_cases(golden)["unicode"]
    theirs = content["results"]["ignore_space_true.is_filter_true"]["get_metric"]["acc"]
    ours = measured(*((row["prediction"], row["target"]) for row in content["rows"]))
    assert theirs > 0.7 > ours["accuracy_ignore_case_punctuation"]
    assert measured(("你好", "你好！"))["accuracy_ignore_case_punctuation"] == 1.0
    assert measured(("你好", "世界"))["accuracy_ignore_case_punctuation"] == 0.0
    assert measured(("हिंदी", "हद"))["accuracy_ignore_case_punctuation"] == 0.0, "marks are part of letters"


def test_no_text_shows_nothing_right() -> None:
    """PaddleOCR gives norm_edit_dis 1 for an empty list: an evaluation that saw nothing would be the best."""
    values = RecMetric().compute()
    assert set(values.values()) == {0.0}


def test_raw_spaces_count() -> None:
    values = measured(("TOTALRM 5", "TOTAL RM 5"))
    assert values["accuracy"] == 0.0
    assert values["accuracy_no_spaces"] == 1.0
    assert values["norm_edit_distance"] == pytest.approx(0.9)


def test_spaces_missed_and_added_per_hundred_spaces_of_the_labels() -> None:
    pairs = [("TOTALRM 5", "TOTAL RM 5"), ("A B", "AB"), ("A_B C", "A B C"), ("X Y", "X-Y"), ("1 2", "1 2")]
    values = measured(*pairs)
    # Labels: 2 + 0 + 2 + 0 + 1 spaces; missed: one left out, one read as _; added: one between, one for a hyphen.
    assert values["spaces/missed_per_100"] == pytest.approx(100 * 2 / 5)
    assert values["spaces/added_per_100"] == pytest.approx(100 * 2 / 5)
    line = "spaces per 100: missed 40.0 added 40.0; accuracy without spaces 0.6000"
    assert space_figures(values) == line
    assert figures(values) == "accuracy 0.2000 norm_edit_distance 0.8067"
    assert not [name for name in measured(("A B", "AB")) if name.startswith("spaces/")]
    assert space_figures(measured(("A B", "AB"))) == ""


def test_case_of_the_comparison() -> None:
    pairs = [("Total", "TOTAL"), ("cash", "CASH")]
    assert measured(*pairs)["accuracy"] == 0.0
    assert measured(*pairs)["accuracy_ignore_case"] == 1.0
    assert measured(*pairs, case="upper")["accuracy"] == 1.0
    assert measured(*pairs, case="lower")["norm_edit_distance"] == 1.0
    assert measured(("STRASSE", "straße"))["accuracy_ignore_case"] == 1.0


def test_accuracy_by_length_of_the_label() -> None:
    values = measured(("abc", "abc"), ("abx", "abc"), ("abcdef", "abcdef"), ("x" * 30, "x" * 31), length_buckets=[3, 6])
    buckets = {name.partition("/")[2]: value for name, value in values.items() if "/" in name}
    assert buckets == {"1_3": 0.5, "4_6": 1.0, "7_up": 0.0}
    assert not [name for name in measured(("a", "a"), length_buckets=[]) if name == "accuracy_length/1_5"]


def test_ranks_together_are_one() -> None:
    pairs = [("hello", "hello"), ("help", "hello"), ("w rld", "world"), ("", "x"), ("Ab", "ab")]
    parts = []
    for share in (pairs[:2], pairs[2:]):
        metric = RecMetric()
        metric.update([RecPrediction(p, 1.0) for p, _ in share], [RecReference(label) for _, label in share])
        parts.append(pickle.loads(pickle.dumps(metric.state())))
    merged = RecMetric()
    merged.merge(parts)
    assert merged.compute() == measured(*pairs)
    assert merged.details().empty == 1
    assert merged.details().confusions.errors == 5


def test_severity_orders_by_edits_then_by_score() -> None:
    metric = RecMetric()
    right = metric.severity(RecPrediction("abc", 0.1), RecReference("abc"))
    near = metric.severity(RecPrediction("abd", 0.9), RecReference("abc"))
    far = metric.severity(RecPrediction("xyz", 0.1), RecReference("abc"))
    far_and_sure = metric.severity(RecPrediction("xyz", 0.9), RecReference("abc"))
    assert right == 0.0 < near < far < far_and_sure


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"main": "acc"}, "main: expected accuracy|main: expected one of .*got acc"),
        ({"case": "title"}, "case: expected one of .*got title"),
        ({"length_buckets": [5, 5]}, "rising"),
    ],
)
def test_wrong_options_name_their_key(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        RecMetric(**options)
