"""Right-to-left labels are learned as they are drawn and come back as they were typed."""

import random

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.charset.direction import mirrored, resolved
from ocrexp.charset.saved import from_saved
from ocrexp.charset.sources import from_characters, from_dictionary
from ocrexp.data.targets.text import TextTargets
from ocrexp.metrics.rec import RecMetric
from ocrexp.postprocess.ctc import CTCBeamDecoder, CTCGreedyDecoder
from ocrexp.postprocess.tokens import TokenDecoder
from ocrexp.results import RecReference

POOL = "אבגדوسع abc123 .,-()[]%:/"
CHARACTERS = list(dict.fromkeys(POOL))


def test_every_mixed_text_comes_back() -> None:
    charset = Charset(CHARACTERS, direction="rtl")
    generator = random.Random(0)
    for _ in range(3000):
        text = "".join(generator.choices(POOL, k=generator.randint(0, 14)))
        assert charset.decode(charset.encode(text)) == text


@pytest.mark.parametrize(
    ("typed", "drawn"),
    [
        ("אבג", "גבא"),
        ("אבג abc 123 דה", "הד abc 123 גבא"),
        ("שלום (12) 34", "34 (12) םולש"),
        ("سعر 12-34", "12-34 رعس"),
        ("abc (123)", "abc (123)"),
    ],
)
def test_texts_as_they_are_drawn(typed: str, drawn: str) -> None:
    assert "".join(mirrored(list(typed), set(typed))) == drawn
    assert "".join(mirrored(list(drawn), set(drawn))) == typed


def test_a_bracket_without_its_partner_in_the_charset_stays() -> None:
    charset = Charset(list("אב("), direction="rtl")
    assert charset.decode(charset.encode("(אב")) == "(אב"


def test_auto_is_by_the_dictionary_and_its_scripts(tmp_path) -> None:
    assert resolved("auto", "abc", "dicts/arabic_dict.txt") == "rtl"
    assert resolved("auto", "אבגדהוזחטיכלמנסעפצקרשתםןץףך0123abcdefghijklmnopqrstuvwxyzABCDEFGHIJ") == "rtl"
    assert resolved("auto", "abcdefא0") == resolved("auto", "0123") == "ltr"
    with pytest.raises(ValueError, match=r"direction: expected one of ltr, rtl, auto, got 'up'"):
        from_characters("ab", direction="up")
    path = tmp_path / "he.txt"
    path.write_text("א\nב\n", encoding="utf-8")
    assert from_dictionary(str(path)).direction == "rtl"
    assert from_dictionary(str(path), direction="ltr").direction == "ltr"


def test_the_direction_is_saved_and_part_of_the_fingerprint() -> None:
    left, right = Charset(CHARACTERS), Charset(CHARACTERS, direction="rtl")
    assert left.fingerprint != right.fingerprint
    assert from_saved(right.saved(), "a checkpoint").direction == "rtl"
    earlier = left.saved()
    del earlier["direction"]
    assert from_saved(earlier, "an earlier checkpoint") == left


def test_scores_follow_their_characters() -> None:
    charset = Charset(list("אבג"), direction="rtl")
    probabilities = np.full((1, 3, 4), 0.01, np.float32)
    for step, (position, score) in enumerate(zip(charset.encode("אבג"), (0.7, 0.8, 0.9), strict=True)):
        probabilities[0, step, position + 1] = score
    (read,) = CTCGreedyDecoder(charset)({"ctc": probabilities}, {})
    assert read.text == "אבג"
    np.testing.assert_allclose(read.char_scores, (0.9, 0.8, 0.7), rtol=1e-6)


@pytest.mark.parametrize("text", ["שלום", "אב 12-34 (abc)", "سعر ١٢", "abc", "אָב"])
def test_from_label_to_text_through_targets_loss_order_and_decoders(text: str) -> None:
    """The label that CTC learns runs as the line is drawn, from the left, and what is decoded is the label again."""
    charset = Charset(list(dict.fromkeys(text + "()x")), direction="rtl")
    sample = TextTargets(charset, ["ctc", "attention"], 20, None)({"texts": [text]}, np.random.default_rng(0))
    classes = sample["label_ctc"][: sample["length"]]
    seen = "".join(charset.characters[position - 1] for position in classes)
    assert seen == "".join(mirrored(list(text), set(charset.characters)))
    probabilities = np.full((1, 2 * len(classes), len(charset) + 1), 1e-3, np.float32)
    probabilities[0, 1::2, 0] = 0.9
    probabilities[0, np.arange(len(classes)) * 2, classes] = 0.9
    metric = RecMetric()
    for decoder in (CTCGreedyDecoder(charset), CTCBeamDecoder(charset)):
        (read,) = decoder({"ctc": probabilities}, {})
        assert read.text == text
        metric.update([read], [RecReference(text)])
    ids = np.zeros((1, 22, len(charset) + 2), np.float32)
    ids[0, np.arange(21), sample["label_attention"][1:]] = 1  # what follows the begin token
    metric.update(TokenDecoder(charset, "attention")({"attention": ids}, {}), [RecReference(text)])
    assert metric.compute()["accuracy"] == 1
