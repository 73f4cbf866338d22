"""Texts of patterns, and amounts and dates as countries write them."""

import re

import numpy as np
import pytest

from ocrexp.data.synth.text.locales import LOCALES
from ocrexp.data.synth.text.pattern import read_pattern
from ocrexp.data.synth.text.templates import Templates

ANYTHING = frozenset(map(chr, range(32, 0x10000)))


def texts(part: Templates, split="train", count=200) -> list[str]:
    part.prepare(ANYTHING, 60)
    rng = np.random.default_rng(1)
    return [part.text(split, rng) for _ in range(count)]


@pytest.mark.parametrize("pattern", ["INV-[0-9]{6}", "[A-F]{2,4}x?", "(ab|c{2}|)[0-9.]", r"\d{3}", "(a|(b|c)){1,3}"])
def test_what_is_drawn_matches_the_regular_expression_of_the_same_name(pattern):
    draw, rng = read_pattern(pattern, {}), np.random.default_rng(0)
    found = {draw(rng) for _ in range(200)}
    assert len(found) > 5 and all(re.fullmatch(pattern, text) for text in found)


def test_escapes_and_fields():
    draw = read_pattern(r"\[<n>\]\?", {"n": lambda rng: str(int(rng.integers(10)))})
    assert re.fullmatch(r"\[\d\]\?", draw(np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[0-9", "has a [ without its ] (character 2)"),
        ("(ab", "has a ( without its )"),
        ("ab)", "has a ) without its ("),
        ("{3}", "has a { with nothing before it"),
        ("a{3", "has a { without its }"),
        ("a{x}", "is not {3} or {2,5}"),
        ("a{5,2}", "not between 0 and 100 and in order"),
        ("a{500}", "not between 0 and 100"),
        ("[9-0]", "the range 9-0, which is empty"),
        ("<dat>", "unknown field <dat>; expected one of date, amount"),
        ("a\\", "ends with a backslash"),
    ],
)
def test_a_wrong_pattern_is_named_with_the_place(pattern, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        Templates(patterns=[pattern])
    assert "\n" not in str(error.value) and repr(pattern) in str(error.value)


def test_the_splits_share_no_text_and_a_pattern_of_one_text_is_refused():
    part = Templates(patterns={"[A-Z]{2}[0-9]{3}": 2, "<date>": 1})
    assert not set(texts(part)) & set(texts(part, "val"))
    with pytest.raises(ValueError, match=r"has too few texts, none is left for the (train|val) images"):
        Templates(patterns=["ABC"]).prepare(ANYTHING, 20)


@pytest.mark.parametrize(
    ("locale", "number"),
    [
        ("en_US", r"\d{1,3}(,\d{3})*\.\d{2}"),
        ("de_DE", r"\d{1,3}(\.\d{3})*,\d{2}"),
        ("fr_FR", r"\d{1,3}( \d{3})*,\d{2}"),
        ("ja_JP", r"\d{1,3}(,\d{3})*"),
        ("hi_IN", r"(\d{1,2},(\d{2},)*)?\d{1,3}\.\d{2}"),
        ("ar_EG", r"[٠-٩]{1,3}(٬[٠-٩]{3})*٫[٠-٩]{2}"),
    ],
)
def test_amounts_are_written_as_in_their_country(locale, number):
    forms = "|".join(re.escape(form).replace(r"\#", number) for form in LOCALES[locale].amounts)
    for text in texts(Templates(kinds={"amount": 1}, locale=locale)):
        assert re.fullmatch(forms, text), text


def test_every_locale_draws_every_kind():
    for locale in LOCALES:
        for kind in ("date", "amount", "address", "serial"):
            assert texts(Templates(kinds={kind: 1}, locale=locale), count=3)


def test_a_pattern_that_the_characters_cannot_write_is_dropped_with_its_reason():
    part = Templates(patterns=["N[0-9]{3}", "[0-9]{2} km"])
    report = part.prepare(frozenset("N0123456789"), 10)
    assert len(report) == 1 and report[0].startswith("pattern [0-9]{2} km dropped")
    assert all(re.fullmatch(r"N\d{3}", text) for text in [part.text("train", np.random.default_rng(0))])
    with pytest.raises(ValueError, match="nothing can be drawn"):
        Templates(patterns=["x[0-9]{3}"]).prepare(frozenset("N0123456789"), 10)


def test_unknown_values_are_refused():
    for keys in ({"locale": "xx"}, {"kinds": {"name": 1}}, {"patterns": {"a": 0}}):
        with pytest.raises(ValueError, match=f"^{next(iter(keys))}"):
            Templates(**keys)
