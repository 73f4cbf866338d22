"""Recognition lists: texts kept to the letter, and every fault named with its line and an advice."""

import re

import pytest

from ocrexp.data.rec_labels import read_rec_label_file
from ocrexp.errors import DataError


def write(tmp_path, *lines, encoding="utf-8", end="\n"):
    path = tmp_path / "rec.txt"
    path.write_bytes(end.join(lines).encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "word",
        "two words",
        " leading and trailing ",
        '"quoted", with a comma',
        "a\u200bb",
        "[06]",
        '{"a": 1}',
        "###",
        "c'est l'été\u2028",  # no line end for PaddleOCR either
        "人之初",
        "100 %",
    ],
)
def test_a_text_is_kept_to_the_letter(tmp_path, text):
    file = read_rec_label_file(write(tmp_path, f"images/a b.jpg\t{text}", "c.jpg\tlast"))
    assert not file.problems
    assert [(line.names, line.texts) for line in file.lines] == [
        (("images/a b.jpg",), (text,)),
        (("c.jpg",), ("last",)),
    ]
    assert file.lines[0].polygons == ()


@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8-sig", "\r\n")])
def test_bom_and_windows_line_ends(tmp_path, encoding, end):
    file = read_rec_label_file(write(tmp_path, "a.jpg\té ", "", "b.jpg\tx", "", encoding=encoding, end=end))
    assert not file.problems
    assert [(line.line, line.names[0], line.texts[0]) for line in file.lines] == [(1, "a.jpg", "é "), (3, "b.jpg", "x")]


def test_several_images_of_one_text(tmp_path):
    file = read_rec_label_file(write(tmp_path, '["a.jpg", "b.jpg"]\tword', "[x].jpg\ty"))
    assert [line.names for line in file.lines] == [("a.jpg", "b.jpg"), ("[x].jpg",)]


@pytest.mark.parametrize(
    ("line", "what", "advice"),
    [
        ("a.jpg\t", "the label of 'a.jpg' is empty", "write the text after the tab"),
        ("a.jpg\t  ", "the label of 'a.jpg' is empty", "write the text after the tab"),
        ("a.jpg word", "no tab between image path and label in 'a.jpg word'", "with a tab character"),
        ("\tword", "no image path", "root folder"),
        ("a.jpg\tone\rb.jpg\ttwo", "a carriage return within the label", "tr '\\\\r' '\\\\n'"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(tmp_path, line, what, advice):
    path = write(tmp_path, "good.jpg\tx", line, "fine.jpg\ty")
    file = read_rec_label_file(path)
    assert [good.names[0] for good in file.lines] == ["good.jpg", "fine.jpg"]
    (problem,) = file.problems
    assert str(problem).startswith(f"{path}:2: {what}")
    assert re.search(advice, problem.advice)
    assert "\n" not in str(problem)


def test_a_line_that_is_not_utf8(tmp_path):
    path = tmp_path / "rec.txt"
    path.write_bytes(b"a.jpg\tx\n" + "b.jpg\tcafé".encode("latin1"))
    file = read_rec_label_file(path)
    assert len(file.lines) == 1
    assert str(file.problems[0]).startswith(f"{path}:2: byte 0xe9 at column 10 is not UTF-8; ")
    assert f"iconv -f cp1252 -t utf-8 {path} " in file.problems[0].advice


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf16_is_refused(tmp_path, encoding):
    with pytest.raises(DataError, match=r"rec\.txt is in UTF-16(LE)?; convert it, iconv -f utf-16"):
        read_rec_label_file(write(tmp_path, "a.jpg\tx", encoding=encoding))


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DataError, match=r"rek\.txt"):
        read_rec_label_file(tmp_path / "rek.txt")


def test_real_lists_are_clean(real_data):
    for folder, count in {"icdar2015_rec": 4072, "sroie_rec": 5000}.items():
        file = read_rec_label_file(real_data / folder / "train_list.txt")
        assert not file.problems
        assert len(file.lines) == count
