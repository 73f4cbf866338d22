import numpy as np
import pytest

from ocrexp.data.synth.rec_texts import KINDS, PRINTABLE, TextMaker
from ocrexp.data.synth.words import WordMaker, core, split_of

EVEN = {"lower": 1, "title": 1, "upper": 1}


def _maker(split="train", characters=PRINTABLE, words=None, **keys) -> TextMaker:
    settings = {
        "weights": dict.fromkeys(KINDS, 1),
        "cases": EVEN,
        "max_length": 25,
        "random_length": (1, 10),
        "punctuation": 0.2,
    }
    return TextMaker(WordMaker(split, words=words), characters, **{**settings, **keys})


def _texts(maker: TextMaker, count: int = 400) -> list[str]:
    rng = np.random.default_rng(5)
    return [maker.text(rng) for _ in range(count)]


@pytest.mark.parametrize("characters", [PRINTABLE, "0123456789", "abcdefghijklmnopqrstuvwxyz", "XYZ", PRINTABLE + " "])
def test_texts_hold_characters_of_the_charset_only(characters):
    for text in _texts(_maker(characters=characters, max_length=12)):
        assert set(text) <= set(characters) and 1 <= len(text) <= 12
        assert text == text.strip() and "  " not in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_splits_share_no_text(kind):
    weights, characters = {kind: 1}, PRINTABLE + " "
    train, val = (set(_texts(_maker(split, characters, weights=weights))) for split in ("train", "val"))
    assert len(train) > 50 and len(val) > 50 and not train & val


def test_every_word_of_a_phrase_belongs_to_its_split():
    for text in _texts(_maker("val", PRINTABLE + " ", weights={"phrase": 1}, max_length=40)):
        words = text.split(" ")
        assert 2 <= len(words) <= 5
        assert {split_of(word) for word in words if core(word)} == {"val"}


def test_without_a_blank_there_are_no_phrases():
    maker = _maker(weights={"phrase": 5, "word": 1})
    assert maker.left_out == ["phrase"] and not any(" " in text for text in _texts(maker))


def test_kinds_that_the_characters_cannot_write_are_left_out():
    maker = _maker(characters="0123456789")
    assert set(maker.left_out) == {"word", "phrase", "price", "date", "code"}
    assert all(text.isdigit() for text in _texts(maker))


def test_cases_follow_their_weights():
    texts = _texts(_maker(weights={"word": 1}, cases={"upper": 1, "lower": 0}, punctuation=0))
    assert all(text.isupper() for text in texts)
    texts = _texts(_maker(weights={"word": 1}, punctuation=0))
    kinds = [sum(test(text) for text in texts) for test in (str.isupper, str.islower, str.istitle)]
    assert min(kinds) > 80 and sum(kinds) >= 400


def test_a_charset_of_one_case_writes_words_in_it():
    assert all(text.isupper() for text in _texts(_maker(characters="ABCDEFGHIJKLMNOPQRSTUVWXYZ", weights={"word": 1})))


def test_words_of_a_list_keep_the_capitals_that_they_have():
    words = ["iPhone", "McDonald", "NASA", "ÖBB", *(f"Wort{a}{b}" for a in "abcdefg" for b in "hijklmn")]
    texts = _texts(_maker(words=words, weights={"word": 1}, cases={"title": 1}, punctuation=0))
    assert texts and set(texts) <= set(words) - {"ÖBB"}


def test_random_strings_use_every_character():
    texts = "".join(_texts(_maker(weights={"random": 1}), 1500))
    assert set(texts) == set(PRINTABLE)
