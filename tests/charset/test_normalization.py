"""Labels are normalized in one way, in training, evaluation and metric, and the charset says in which."""

import random
from pathlib import Path

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.charset.normalization import FORMS, Normalization, is_invisible
from ocrexp.charset.saved import from_saved
from ocrexp.charset.sources import from_characters, from_dictionary, from_labels
from ocrexp.commands.resume import reason_to_refuse
from ocrexp.data.label_check import check_labels, check_val_labels
from ocrexp.data.transforms.label_text import NormalizedTexts
from ocrexp.errors import DataError
from ocrexp.types import Record


@pytest.mark.parametrize(
    ("form", "invisible", "text", "expected"),
    [
        ("nfc", "keep", "e\u0301\u00a0ﬁ\u200b", "é\u00a0ﬁ\u200b"),
        ("nfd", "keep", "éx", "e\u0301x"),
        ("nfkc", "keep", "ﬁ\u00a0Ａ１…①", "fi A1...1"),
        ("nfkd", "keep", "ﬁé", "fie\u0301"),
        (None, "keep", "e\u0301é", "e\u0301é"),
        ("NFKC", "keep", "ﬁ", "fi"),
        ("nfc", "clean", "a\u00a0b\u2009c\u3000d\te", "a b c d e"),
        ("nfc", "clean", "a\u200bb\ufeffc\u00add\u200ee\u2060f\x00g\u115f", "abcdefg"),
        ("nfc", "clean", "e\u200b\u0301", "é"),
        ("nfc", "clean", "می\u200cخواهم क\u094d\u200dष a\u200cb", "می\u200cخواهم क\u094d\u200dष ab"),
        ("nfc", "clean", "\u06dd١", "\u06dd١"),  # a format character with ink
        (None, "clean", "e\u0301\u200b", "e\u0301"),
    ],
)
def test_texts_as_they_are_learned(form, invisible, text, expected) -> None:
    normalization = Normalization(form, invisible)
    assert normalization(text) == expected
    assert normalization(expected) == expected


def test_normalizing_twice_changes_nothing() -> None:
    pool = [
        chr(point) for point in (*range(0x300), *range(0x590, 0x700), *range(0x2000, 0x2070), 0xFB01, 0xFDFA, 0x3000)
    ]
    generator = random.Random(0)
    for form in (*FORMS, None):
        for invisible in ("keep", "clean"):
            normalization = Normalization(form, invisible)
            for _ in range(300):
                text = "".join(generator.choices(pool, k=6))
                once = normalization(text)
                assert normalization(once) == once, ascii(text)
                if invisible == "clean":
                    assert not any(is_invisible(c) for c in once if c not in "\u200c\u200d")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"normalize": "nfq"}, r"normalize: expected null or one of nfc, nfd, nfkc, nfkd, got 'nfq'"),
        ({"normalize": True}, r"normalize: expected .*, got True"),
        ({"invisible": "drop"}, r"invisible: expected one of keep, clean, got 'drop'"),
    ],
)
def test_other_values_are_refused(setting, message) -> None:
    with pytest.raises(ValueError, match=message):
        from_characters("ab", **setting)


def test_entries_are_normalized_as_labels_are(tmp_path: Path) -> None:
    path = tmp_path / "dict.txt"
    path.write_text("é\nﬁ\n\u00a0\nf\ni\n\u200b\n", encoding="utf-8")
    compatible = from_dictionary(str(path), normalize="nfkc", invisible="clean")
    assert compatible.characters == ("é", "fi", " ", "f", "i", "")
    assert compatible.encode("e\u0301ﬁ\u3000\u200bf") == [0, 1, 2, 3]
    decomposed = from_dictionary(str(path), normalize="nfd")
    assert decomposed.decode(decomposed.encode("é")) == "e\u0301"
    assert from_dictionary(str(path), normalize=None).encode("ﬁ\u200b") == [1, 5]
    assert from_labels(["é", "ﬁ"], normalize="nfd").characters == ("e", "\u0301", "ﬁ")
    assert from_labels(["é\u200b\u00a0"], invisible="clean").characters == (" ", "é")
    mapped = from_characters("fi", unknown="map", unknown_map={"Ａ": "ﬁ"}, normalize="nfkc")
    assert mapped.encode("A") == [0, 1]


def test_it_is_part_of_the_fingerprint_and_saved() -> None:
    charsets = [
        from_characters("abé", normalize=form, invisible=invisible)
        for form in (*FORMS, None)
        for invisible in ("keep", "clean")
    ]
    assert len({charset.fingerprint for charset in charsets}) == len(charsets)
    for charset in charsets:
        again = from_saved(charset.saved(), "a checkpoint")
        assert again == charset
        assert again.normalize_label("ﬁ\u00a0é") == charset.normalize_label("ﬁ\u00a0é")
    earlier = {"characters": ["a", "é"], "lower": False, "fingerprint": Charset(["a", "é"]).fingerprint}
    assert from_saved(earlier, "an earlier checkpoint").normalization == Normalization()


def test_a_resumed_run_keeps_it() -> None:
    assert reason_to_refuse("charset.normalize")
    assert reason_to_refuse("charset.invisible")


def test_what_is_changed_is_counted_in_one_line() -> None:
    records = [
        Record(Path("a.png"), (text,), source=f"list.txt:{i}")
        for i, text in enumerate(("ab", "e\u0301", "a\u00a0b", "\u200ba\u200b"), start=1)
    ]
    charset = from_characters("abé ", invisible="clean")
    expected = "2 of 4 labels are changed by invisible=clean: '?' (U+200B) 2×, '?' (U+00A0) 1×; the first at list.txt:3"
    assert check_labels(records, charset, ["ctc"], 25) == [f"train: {expected}"]
    assert check_val_labels(records, charset) == [f"val: {expected}"]
    plain = from_characters("abé \u00a0\u200b")
    assert check_labels(records, plain, ["ctc"], 25) == check_val_labels(records, plain) == []


def test_an_unknown_invisible_character_names_the_key() -> None:
    with pytest.raises(DataError, match=r"U\+200B.*set invisible=clean"):
        from_characters("ab").check([("a\u200b", "list.txt:1")])


def test_evaluation_labels_are_those_that_readings_can_equal() -> None:
    charset = from_characters("fiA", normalize="nfkc")
    sample = NormalizedTexts(charset)({"texts": ["ﬁＡ"]}, np.random.default_rng(0))
    assert sample["texts"] == ["fiA"] == [charset.decode(charset.encode("ﬁＡ"))]
