"""Labels become classes of each head; what cannot be learnt is rejected with its reason."""

import numpy as np
import pytest

from ocrexp.charset.sources import from_characters
from ocrexp.data.targets.text import TextTargets
from ocrexp.types import Sample, UnusableSample

RNG = np.random.default_rng(0)


def sample(text: str) -> Sample:
    return {"texts": [text]}


def test_each_kind_gets_its_label() -> None:
    targets = TextTargets(from_characters("abc"), ["ctc", "nrtr", "sar"], max_text_length=4)
    out = targets(sample("cab"), RNG)
    assert out["label_ctc"].tolist() == [3, 1, 2, 0]
    assert out["label_nrtr"].tolist() == [2, 6, 4, 5, 3, 0]
    assert out["label_sar"].tolist() == [4, 2, 0, 1, 4, 5]
    assert out["length"] == 3
    assert out["label_ctc"].dtype == np.int64


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "label is empty"),
        ("abcab", r"longer than max_text_length=4"),
        ("aab€", r"'€' \(U\+20AC\) is not in the charset"),
        ("aabb", "more than the 5 steps that CTC emits"),
    ],
)
def test_what_cannot_be_learnt_is_rejected_with_its_reason(text: str, reason: str) -> None:
    targets = TextTargets(from_characters("abc"), ["ctc"], max_text_length=4, ctc_steps=5)
    with pytest.raises(UnusableSample, match=reason):
        targets(sample(text), RNG)


def test_a_dropped_character_may_leave_an_empty_label() -> None:
    targets = TextTargets(from_characters("abc", unknown="drop"), max_text_length=4)
    assert targets(sample("a€b"), RNG)["length"] == 2
    with pytest.raises(UnusableSample, match="label is empty"):
        targets(sample("€"), RNG)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kinds: expected names of ctc, attention.*got \['ctcc'\]"):
        TextTargets(from_characters("abc"), ["ctcc"])
