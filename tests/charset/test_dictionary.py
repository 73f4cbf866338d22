"""Dictionaries as people have them: what a line is, that is none of one character, and what is done with it."""

from pathlib import Path

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.charset.dictionary import read_lines
from ocrexp.charset.saved import from_saved
from ocrexp.charset.sources import from_characters, from_dictionary
from ocrexp.data.label_check import check_labels
from ocrexp.errors import ConfigError, DataError
from ocrexp.postprocess.ctc import CTCGreedyDecoder
from ocrexp.types import Record

LETTERS = "abcdefghijklmnop"


def write(tmp_path: Path, lines: list[str] | str | bytes) -> str:
    path = tmp_path / "dict.txt"
    text = "".join(line + "\n" for line in lines) if isinstance(lines, list) else lines
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ([f"{c} " for c in LETTERS], 1, ["'a ' (2 characters)", "delete them on this and 15 more lines"]),
        ([f"  {c}" for c in LETTERS], 1, ["'  a' (3 characters)", "delete them"]),
        (["x", *(f"{c}\t" for c in "ab")], 2, [r"'a\t' (2 characters)", "delete them on this and 1 more line"]),
        (["b", "a\u00a0", "c"], 2, [r"'a\xa0' (2 characters)", "delete them on this line"]),
        (["b", "\u200ba", "c"], 2, [r"'\u200ba' (2 characters)", "delete them on this line"]),
        ([LETTERS], 1, ["several characters on one line", "one character per line"]),
        ([" ".join(LETTERS)], 1, ["several characters on one line"]),
        ([f"{c}\t{i}" for i, c in enumerate(LETTERS)], 1, [r"'a\t0' (3 characters)", "number", "tab"]),
        ([f"{i}\t{c}" for i, c in enumerate(LETTERS)], 1, [r"'0\ta' (3 characters)", "number", "tab"]),
        ([f"{c} {i}" for i, c in enumerate(LETTERS)], 1, ["'a 0' (3 characters)", "number"]),
        ([f"{i}: {c}" for i, c in enumerate(LETTERS)], 1, ["'0: a' (4 characters)", "number"]),
        ([f"{c},{i}" for i, c in enumerate(LETTERS)], 1, ["'a,0' (3 characters)", "number"]),
        ([f"'{c}'," for c in LETTERS], 1, ["\"'a',\"", "quotes"]),
        (["\r".join(LETTERS)], 1, ["CR", "LF"]),
        (["x", "ab", "y"], 2, ["'ab' (2 characters)", "'a' (U+0061)", "add a line"]),
    ],
)
def test_a_line_that_contains_a_missing_character_is_explained(
    tmp_path: Path, lines: list[str], line: int, words: list[str]
) -> None:
    path = write(tmp_path, lines)
    # A commoner character that is nowhere in the dictionary does not hide the cause.
    with pytest.raises(DataError) as error:
        from_dictionary(path).check([("a", "list.txt:3"), ("€€", "list.txt:4")])
    assert str(error.value).startswith("list.txt:3: 'a' (U+0061) is not in the charset")
    assert f"{path}:{line}: expected one character, got " in str(error.value)
    assert all(word in str(error.value) for word in words), error.value
    assert "add it to the dictionary" not in str(error.value)
    assert "\n" not in str(error.value)

    records = [Record(Path("a.png"), ("aa",), source="list.txt:1"), Record(Path("b.png"), ("€",), source="list.txt:2")]
    with pytest.raises(DataError) as error:
        check_labels(records, from_dictionary(path, unknown="drop"), ["ctc"], 25)
    assert f"{path}:{line}: expected one character" in str(error.value)


def test_entries_of_several_characters_are_no_fault_where_no_label_needs_them(tmp_path: Path) -> None:
    charset = from_dictionary(write(tmp_path, ["a", "ch", "p\t"]))
    assert charset.encode("acha") == [0, 1, 0]
    assert charset.check([("acha", "list.txt:1")]).unknown == {}


def test_a_missing_space_names_its_key(tmp_path: Path) -> None:
    path = write(tmp_path, ["a", "b"])
    with pytest.raises(DataError, match=r"' ' \(U\+0020\).*set use_space_char=true"):
        from_dictionary(path).check([("a b", "list.txt:1")])
    assert from_dictionary(path, use_space_char=True).check([("a b", "list.txt:1")]).unknown == {}


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
        (b"a\n\xef\xbb\xbfb\n", ["a", "b"]),  # two files joined
        (b"a\n\xef\xbb\xbf\nb", ["a", "\ufeff", "b"]),  # PaddleOCR's table_dict.txt has it as a character
        (b"a\n\nb\n\n", ["a", "", "b", ""]),
        (b"a\n \nb", ["a", " ", "b"]),
        ("a\n\u2028\n\u3000\n\x85\n".encode(), ["a", "\u2028", "\u3000", "\x85"]),
    ],
)
def test_lines_are_counted_as_paddleocr_does(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert read_lines(Path(write(tmp_path, content))) == lines


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\nb\na\n", "dict.txt:3: duplicate character 'a' (U+0061), first on line 1; delete"),
        (b"a\n\0\nb\nc\nd\ne\nf\ng\nh\n", "dict.txt:2: contains a NUL character; delete it"),
        ("a\nb\n".encode("utf-16"), "dict.txt:1: is in UTF-16; convert it, iconv -f utf-16 -t utf-8"),
        ("a\nb\n".encode("utf-16-le"), "iconv -f utf-16le -t utf-8"),
        ("a\n中\n".encode("gbk"), "dict.txt:2: not UTF-8; "),
        ("a\né\n".encode("cp1252"), "dict.txt:2: not UTF-8; "),
        (b"\n\n", "no characters"),
    ],
)
def test_what_is_no_dictionary_is_one_line_with_the_fix(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_dictionary(write(tmp_path, content))
    assert words in str(error.value)
    assert "iconv" in str(error.value) or "UTF" not in words
    assert "\n" not in str(error.value)


def test_an_empty_line_is_a_class_that_no_label_has(tmp_path: Path) -> None:
    charset = from_dictionary(write(tmp_path, ["a", "", "b", "c", ""]), use_space_char=True)
    assert charset.class_counts()["ctc"] == 7
    assert charset.encode("abc ") == [0, 2, 3, 5]
    assert charset.decode([0, 1, 2, 4, 3]) == "abc"
    assert "" not in charset
    with pytest.raises(ValueError, match=r"^characters:2: expected a character"):
        from_characters(["a", ""])
    again = from_saved(charset.saved(), "a checkpoint")
    assert again.fingerprint == charset.fingerprint
    assert again.encode("abc ") == [0, 2, 3, 5]
    assert charset.fingerprint != Charset(["a", "b", "c", " "]).fingerprint


def test_a_class_without_a_character_has_no_score(tmp_path: Path) -> None:
    charset = from_dictionary(write(tmp_path, ["a", "", "b"]))
    probabilities = np.full((2, 3, 4), 0.01, np.float32)
    probabilities[0, [0, 1, 2], [1, 2, 3]] = (0.9, 0.5, 0.7)
    probabilities[1, :, 2] = 0.5
    first, second = CTCGreedyDecoder(charset)({"ctc": probabilities}, {})
    assert (first.text, first.char_scores) == ("ab", pytest.approx((0.9, 0.7)))
    assert first.score == pytest.approx(0.8)
    assert (second.text, second.score, second.char_scores) == ("", 0.0, ())


def test_entries_that_normalization_makes_equal_are_encoded_alike_after_saving() -> None:
    for entries in (["\u6717", "\uf929"], ["\uf929", "\u6717"]):
        charset = Charset(entries)
        again = from_saved(charset.saved(), "a checkpoint")
        assert again.encode("\u6717") == charset.encode("\u6717") == [entries.index("\u6717")]


def test_paddleocrs_dictionaries_with_padded_lines_say_so(real_data: Path) -> None:
    path = real_data / "dicts" / "ppocr" / "dict" / "ru_dict.txt"
    with pytest.raises(DataError, match=r"ru_dict\.txt:14: expected one character, got 'ы ' \(2 characters\)"):
        from_dictionary(str(path)).check([("мы", "list.txt:1")])
