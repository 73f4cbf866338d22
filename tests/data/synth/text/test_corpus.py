"""Texts of a file: what is drawn of it, what is dropped, and errors with the number of the line."""

import json
from pathlib import Path

import numpy as np
import pytest

from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.synth.shaping import is_mark
from ocrexp.data.synth.text.corpus import Corpus
from ocrexp.data.synth.text.made_up import MadeUp
from ocrexp.errors import DataError

LINES = [f"Order {n} was paid in {c} on day {n * 7}" for n in range(40) for c in ("Oslo", "Rome")]


def corpus(folder: Path, lines=LINES, name="texts.txt", **keys) -> Corpus:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Corpus(str(path), **keys)


def drawn(part: Corpus, length=25, allowed=None, count=300) -> dict[str, set[str]]:
    part.prepare(frozenset(part.characters() if allowed is None else allowed), length)
    rng = np.random.default_rng(0)
    return {split: {part.text(split, rng) for _ in range(count)} for split in ("train", "val")}


@pytest.mark.parametrize("name", ["texts.txt", "texts.jsonl"])
def test_phrases_are_consecutive_words_that_fit(tmp_path, name):
    lines = [json.dumps({"text": line}) for line in LINES] if name.endswith("jsonl") else LINES
    texts = drawn(corpus(tmp_path, lines, name))
    for text in texts["train"] | texts["val"]:
        assert len(text) <= 25 and any(f" {text} " in f" {line} " for line in LINES)
    assert len(texts["train"]) > 100


def test_lines_and_words_belong_to_one_split(tmp_path):
    for unit, length in (("line", 60), ("word", 25)):
        texts = drawn(corpus(tmp_path, unit=unit), length)
        assert texts["train"] and texts["val"] and not texts["train"] & texts["val"]
        assert texts["train"] <= (set(LINES) if unit == "line" else set(" ".join(LINES).split()))


def test_what_cannot_be_written_is_dropped_with_its_characters(tmp_path):
    part = corpus(
        tmp_path, ["Order", "Oslo", "day", "was", "Café Ørsta 12", "a line that is much too long"], unit="line"
    )
    report = part.prepare(frozenset("".join(LINES) + "a line that is much too long"), 27)
    assert len(report) == 1 + 1
    assert report[0].startswith("1 lines of") and "'é'" in report[0] and "'Ø'" in report[0]
    words = corpus(tmp_path, [*LINES, "Café Ørsta 12"])
    assert words.prepare(frozenset("".join(LINES) + "Caf"), 40)[0].startswith("2 words of")


def test_a_line_without_spaces_is_cut_between_letters(tmp_path):
    line = "กำลังน้ำที่นี่" * 4
    texts = drawn(corpus(tmp_path, [f"{line}{n}" for n in range(60)]), 6)
    for text in texts["train"]:
        assert 0 < len(text) <= 6 and not is_mark(text[0])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"good\nbad \xff\n", r"a\.txt:2: not UTF-8; convert .* iconv"),
        ("a.txt", "收银员 合计 金额\n".encode("gbk"), r"a\.txt:1: not UTF-8; it is GB18030 .* iconv -f gb18030"),
        ("a.txt", "Total\n".encode("utf-16"), r"a\.txt:1: is in UTF-16.* iconv"),
        ("a.txt", b" \n\n", r"a\.txt: has no text; write"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', r"a\.jsonl:2: is not JSON"),
        ("a.jsonl", b'{"text": "x"}\n\n{"t": "x"}\n', r"a\.jsonl:3: has no key 'text' \(keys: t\)"),
        ("a.jsonl", b'{"text": 3}\n', r"a\.jsonl:1: expected a text, got 3"),
        ("a.txt", b"one\n", r"^text\.corpus\.path=.*: none of its 1 lines is left for the"),
    ],
)
def test_errors_have_the_number_of_the_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    source = SynthRec(str(tmp_path), 2, 2, text={"corpus": Corpus(str(tmp_path / name))})
    with pytest.raises(DataError, match=said) as error:
        source.text("train", 0)
    assert "\n" not in str(error.value)


def test_byte_order_marks_and_windows_line_ends_are_no_part_of_texts(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\n\ufefftwo\r\n".encode())
    assert Corpus(str(tmp_path / "a.txt")).characters() == "enotw"


def test_a_missing_file_and_wrong_values_are_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"^path=.*none\.txt: file not found"):
        Corpus(str(tmp_path / "none.txt"))
    with pytest.raises(ValueError, match=r"^unit: .*phrase, line, word, got 'page'"):
        corpus(tmp_path, unit="page")
    with pytest.raises(ValueError, match=r"^weight: .* above 0, got 0"):
        MadeUp(0)


def test_a_dataset_draws_from_several_sources_by_weight(tmp_path):
    part = corpus(tmp_path, weight=3)
    source = SynthRec(str(tmp_path), 300, 4, text={"corpus": part, "made_up": MadeUp(1)})
    texts = [source.text("train", index) for index in range(300)]
    own = sum(any(f" {text} " in f" {line} " for line in LINES) for text in texts)
    assert 195 < own < 255
    alone = SynthRec(str(tmp_path), 4, 4, text={"corpus": part})
    assert set(alone.characters) == set("".join(LINES))
    assert source.settings(source.counts)["text"][0]["sha256"]
    assert "text" not in SynthRec(str(tmp_path), 4, 4).settings({"train": 4, "val": 4})


def test_a_character_that_no_font_has_is_named_before_drawing(tmp_path):
    part = corpus(tmp_path, [*LINES, "price 日本"])
    source = SynthRec(str(tmp_path), 4, 4, text={"corpus": part})
    report = "\n".join(source.report())
    assert "no font has '日'" in report or "no font has '本'" in report
    assert "1 words of" in report and "'日'" in report
