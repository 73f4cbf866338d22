"""Rarer faults: control characters, very long texts, names that nearly exist, wide encodings without a mark."""

import json

import planted
import pytest
from planted import det_plan, rec_plan

from ocrexp.charset.encodings import guess_encoding, wide_encoding
from ocrexp.data.checking.check import check_dataset
from ocrexp.data.checking.fix_text import TextFixer
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.checking.texts import TextCheck

BOX = [[10, 10], [60, 10], [60, 30], [10, 30]]


def lines_of(findings, *kinds):
    return sorted((p.kind.name, p.place.line) for p in findings.problems if p.kind.name in kinds)


def changed(root, line, content):
    """Replace a line of the training list."""
    path = root / "train_list.txt"
    lines = path.read_text("utf-8").splitlines()
    lines[line - 1] = content(*lines[line - 1].split("\t", 1))
    path.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")


def test_texts_of_regions(tmp_path):
    planted.clean_det(tmp_path).write()
    for line, text in ((1, "a\tb"), (2, "a\nb"), (3, "x" * 10_001)):
        changed(tmp_path, line, lambda name, _, text=text: f"{name}\t" + json.dumps(
            [{"transcription": text, "points": BOX}]))  # fmt: skip
    changed(tmp_path, 4, lambda name, _: f"{name}\t" + json.dumps({"transcription": "a", "points": BOX}))
    findings = check_dataset(det_plan(tmp_path))
    assert lines_of(findings, "text-invisible", "region-text", "json-single", "json-joined") == [
        ("json-single", 4), ("region-text", 3), ("text-invisible", 1), ("text-invisible", 2),
    ]  # fmt: skip


def test_names_that_nearly_exist(tmp_path):
    planted.clean_rec(tmp_path).write()
    changed(tmp_path, 1, lambda name, text: f"{name.upper()}\t{text}")
    changed(tmp_path, 2, lambda name, text: f'"{name}"\t{text}')
    findings = check_dataset(rec_plan(tmp_path))
    advice = {p.place.line: p.advice for p in findings.problems if p.kind.name == "image-missing"}
    assert set(advice) == {1, 2}
    assert "quotes" in advice[2]


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_lists_without_a_line(tmp_path, content):
    planted.clean_rec(tmp_path).write()
    (tmp_path / "train_list.txt").write_text(content, encoding="utf-8")
    findings = check_dataset(rec_plan(tmp_path))
    assert [p.place.file for p in findings.problems.of("list-empty")] == [str(tmp_path / "train_list.txt")]


def test_control_characters_and_line_feeds_are_found_at_their_text():
    problems = Problems()
    check = TextCheck("train", problems)
    texts = ["plain", "a\x0bb", "two\nlines", "tab\t", "good", "last\x7f"]
    check.look(texts, lambda i: Place("train", "list", i))
    check.look([*texts, "é"], lambda i: Place("val", "list", i))
    found = sorted((p.place.split, p.place.line) for p in problems.of("text-invisible"))
    assert found == [(split, line) for split in ("train", "val") for line in (1, 2, 3, 5)]
    assert TextFixer({}, ["text-invisible", "text-spaces"])("a\nb\x7f\t") == ("a b", ["text-invisible", "text-spaces"])


@pytest.mark.parametrize("encoding", ["utf-32-be", "utf-32-le", "utf-16-be", "utf-16-le"])
def test_wide_encodings_without_a_mark(encoding):
    name = encoding[: encoding.rindex("-")] + encoding[-2:]  # as iconv has it
    assert wide_encoding("i/1.png\tplain text\n".encode(encoding)) == name


def test_the_encoding_of_a_mac():
    guess = guess_encoding(["i/1.png\tGröße élève".encode("mac_roman")] * 5)
    assert guess is not None
    assert guess.name == "mac-roman"
