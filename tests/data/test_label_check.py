"""What is said of labels before training: how many are left out, and what would keep them."""

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ocrexp.charset.sources import from_characters
from ocrexp.data.label_check import check_labels, check_val_labels
from ocrexp.errors import DataError
from ocrexp.types import Record

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def records(*texts):
    return [Record(Path(f"{i}.png"), (text,), source=f"list.txt:{i}") for i, text in enumerate(texts, start=1)]


def quarter(width):
    return width // 4


def check(*texts, characters=LETTERS, kinds=("ctc",), longest=25, steps=quarter, width=64, **policy):
    return check_labels(records(*texts), from_characters(characters, **policy), kinds, longest, steps, width)


def test_nothing_to_say():
    assert check("abc", "de") == []
    assert check("abc" * 8, steps=None) == []
    assert check("abc" * 8, kinds=("attention",)) == []


def test_labels_that_are_too_long():
    assert check("abcdef", "abc", "abcdefg", longest=5) == [
        "train: 2 of 3 labels are longer than targets.max_text_length=5 and are skipped; targets.max_text_length=7 "
        "keeps them all: list.txt:1 'abcdef' (6); list.txt:3 'abcdefg' (7)"
    ]


def test_labels_that_need_more_steps():
    """16 steps: 9 letters that need 17 with their pairs do not fit, 16 different ones do."""
    assert check("aaaaaaaaa", "abcdefghijklmnop", "abab") == [
        "train: 1 of 3 labels need more than the 16 steps that CTC emits at width 64 (one more for each pair of equal "
        "neighbors) and are skipped; images 72 wide (model.image_shape) keep them all: list.txt:1 'aaaaaaaaa' (17)"
    ]


def test_the_width_is_one_that_the_model_is_asked_about():
    asked = []

    def steps(width):
        asked.append(width)
        return width // 4 - 3  # a network that loses its borders

    (line,) = check("a" * 9, "b", steps=steps)
    assert "images 88 wide" in line
    assert asked[0] == 64
    assert asked[-1] == 88


def test_a_model_of_one_width():
    (line,) = check("aaaaaaaaa", "b", steps=lambda width: 16 if width == 64 else None)
    assert "the model does not support images that are wide enough" in line


def test_characters_outside_the_charset():
    with pytest.raises(
        DataError, match=r"list\.txt:2: 'é' \(U\+00E9\) is not in the charset \(the configured characters\), 2 times"
    ):
        check("abc", "café", "thé")
    assert check("abc", "café", "thé", unknown="drop") == [
        "train: 1 character outside the charset, 2 times in 2 of 3 labels: 'é' (U+00E9) 2×; dropped from the labels, "
        "the first at list.txt:2"
    ]
    (line,) = check("ab", "ﬁn", unknown="map", unknown_map={"ﬁ": "fi"}, longest=3)
    assert "replaced by unknown_map, the first at list.txt:2" in line
    _, long = check("ab", "ﬁn", unknown="map", unknown_map={"ﬁ": "fi"}, longest=2)
    assert long.endswith("targets.max_text_length=3 keeps them all: list.txt:2 'ﬁn' (3)")  # as it is learned


def test_a_label_of_unknown_characters_only():
    lines = check("abc", "éé", unknown="drop")
    assert lines[1] == "train: 1 of 2 labels contain no character of the charset and are skipped: list.txt:2 'éé' (0)"


def test_nothing_left():
    with pytest.raises(
        DataError,
        match=r"none of the 2 training labels can be used: 2 of 2 labels are longer than targets\.max_text_length=2",
    ):
        check("abc", "def", longest=2)


def test_combining_marks_are_counted_as_entries():
    charset = ["e", "e\u0301\u0323", "t"]
    (line,) = check("te\u0301\u0323t", "t" * 4, characters=charset, longest=3)
    assert line.startswith("train: 1 of 2 labels are longer than targets.max_text_length=3")
    assert "list.txt:2" in line


def test_validation_labels_are_counted_not_refused():
    charset = from_characters(LETTERS)
    assert check_val_labels(records("abc"), charset) == []
    assert check_val_labels(records("abc", "Café"), charset) == [
        "val: 2 characters outside the charset, 2 times in 1 of 2 labels: 'C' (U+0043) 1×, 'é' (U+00E9) 1×; the "
        "model cannot read these labels correctly, the first at list.txt:2"
    ]


def test_a_hundred_thousand_labels_take_less_than_a_second():
    letters = np.random.default_rng(0).choice(list(LETTERS), (100_000, 12))
    image = Path("a.png")
    many = [Record(image, (text,), source="list.txt:1") for text in map("".join, letters.tolist())]
    charset = from_characters(LETTERS)
    times = []
    for _ in range(3):  # the machine may be busy with other things
        began = time.process_time()
        check_labels(many, charset, ["ctc"], 25, quarter, 64)
        times.append(time.process_time() - began)
    assert min(times) < 1


def test_counting_many_texts_together_is_counting_each():
    from ocrexp.data.label_check import count_characters, known_points

    texts = ["", "aa", "abba", "b", "\x00\x00", "é", "aéé", "漢漢字", ""]
    sound, lengths, steps = count_characters(texts, known_points(from_characters("abé漢")))
    assert lengths.tolist() == list(map(len, texts))
    assert steps.tolist() == [len(text) + sum(a == b for a, b in pairwise(text)) for text in texts]
    assert sound.tolist() == [True, True, True, True, False, True, True, False, True]


def test_a_width_that_is_too_large_is_not_tried():
    """A network of a million columns takes minutes and gigabytes."""
    asked = []

    def steps(width):
        asked.append(width)
        return width // 4

    (line,) = check("ab" * 50_000, "b", steps=steps, longest=200_000)
    assert "400000 wide" in line
    assert asked == [64]
