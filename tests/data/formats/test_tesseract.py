"""Tesseract's boxes, whose origin is the bottom left corner, and its tables."""

from pathlib import Path

import pytest
from format_reading import picture, read, real, recognized, sample, write

HEADER = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"


def test_characters_are_joined_up_to_the_tab(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    first = "5 10 60 20 80 0\n# 21 58 30 80 0\n  30 60 40 80 0\nก็ 40 60 50 82 0\n\t 50 60 54 82 0\n"
    write(tmp_path / "1.box", first + "b 10 5 20 15 0\n\t 20 5 24 15 0\nx y\n")
    assert recognized(tmp_path) == "tesseract_box"
    (entry,), account = read(tmp_path)
    assert [(r.text, r.points) for r in entry.regions or []] == [
        ("5# ก็", [(10, 18), (50, 18), (50, 42), (10, 42)]),
        ("b", [(10, 85), (20, 85), (20, 95), (10, 95)]),
    ]
    (place,) = account.dropped["line that cannot be read"].places
    assert place.endswith("1.box:8: expected a character, 4 sides and a page")
    assert not account.changed
    (entry,), _ = read(tmp_path, level="word")
    assert [(r.text, r.points[2]) for r in entry.regions or []] == [("5#", (30, 42)), ("ก็", (50, 40)), ("b", (20, 95))]


def test_lines_and_spaces_of_files_without_their_records(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    latin = "a 10 60 20 80 0\nb 21 60 30 80 0\nc 40 60 50 80 0\nd 10 30 20 50 0\n"
    chinese = "一 40 30 60 50 0\n， 61 30 64 34 0\n二 80 30 100 50 0\n"
    write(tmp_path / "1.box", latin + chinese)
    (entry,), account = read(tmp_path)
    assert [r.text for r in entry.regions or []] == ["ab c", "d一，二"]
    assert account.changed["line without spaces, which were put where its characters are apart"].count == 1
    write(tmp_path / "1.box", latin.replace(" 0\n", "\n"))  # Tesseract 2 has no pages
    (entry,), _ = read(tmp_path, "tesseract_box")
    assert [r.text for r in entry.regions or []] == ["ab c", "d"]


def test_word_str(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    write(tmp_path / "1.box", "WordStr 10 60 60 80 0 #No. #1, 2\n\t 61 60 65 80 0\nWordStr 10 20 60 40 0 #\n")
    assert recognized(tmp_path) == "tesseract_box"
    (entry,), account = read(tmp_path)
    assert [(r.text, r.points[0], r.points[2]) for r in entry.regions or []] == [("No. #1, 2", (10, 20), (60, 40))]
    assert account.dropped["region without a text"].count == 1
    (entry,), account = read(tmp_path, level="word")
    assert [(r.text, r.ignored) for r in entry.regions or []] == [("No. #1, 2", True)]
    assert account.changed["WordStr that is not divided further, marked to be ignored"].count == 1


def test_boxes_need_the_height_of_their_image(tmp_path: Path) -> None:
    write(tmp_path / "1.box", "a 10 60 20 80 0\n")
    entries, account = read(tmp_path)
    assert not entries and account.dropped["image without whose height its boxes cannot be read"].count == 1


def test_later_pages_of_an_image_file_are_counted(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    write(tmp_path / "1.box", "a 10 60 20 80 0\nb 10 60 20 80 1\nc 10 60 20 80 2\n")
    (entry,), account = read(tmp_path)
    assert [r.text for r in entry.regions or []] == ["a"]
    assert [kind.count for kind in account.dropped.values()] == [2]


def test_boxes_that_tesstrain_made_of_texts_are_not_the_labels(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    write(tmp_path / "1.box", "a 0 0 200 100 0\n\t 200 0 201 100 0\n")
    write(tmp_path / "1.gt.txt", "a\n")
    assert recognized(tmp_path) == "kraken"


def test_tables_have_lines_words_and_pages(tmp_path: Path) -> None:
    rows = [
        "1\t1\t0\t0\t0\t0\t0\t0\t200\t100\t-1\t",
        "4\t1\t1\t1\t1\t0\t10\t20\t80\t20\t-1\t",
        '5\t1\t1\t1\t1\t1\t10\t20\t30\t20\t96.5\t"Yes',
        "5\t1\t1\t1\t1\t2\t41\t20\t2\t20\t95\t ",
        "5\t1\t1\t1\t1\t3\t50\t20\t40\t20\t-1\tit's",
        "4\t1\t2\t1\t1\t0\t0\t0\t200\t100\t-1\t",
        "5\t1\t2\t1\t1\t1\t0\t0\t200\t100\t95\t ",
        "5\t1\t3\t1\t1\t1\t10\tx\t40\t20\t90\tbad",
        "1\t2\t0\t0\t0\t0\t0\t0\t200\t100\t-1\t",
    ]
    image = picture(tmp_path / "1.png")
    write(tmp_path / "1.tsv", HEADER + "\n".join(rows) + "\n")
    write(tmp_path / "other.tsv", "a\tb\n")
    assert recognized(tmp_path) == "tesseract_tsv"
    (entry,), account = read(tmp_path)
    assert (entry.image, entry.size) == (image, (200, 100))
    (region,) = entry.regions or []
    assert (region.text, region.score) == ("\"Yes it's", pytest.approx(0.965))
    assert region.points == [(10, 20), (90, 20), (90, 40), (10, 40)]
    assert {kind.partition(";")[0]: count.count for kind, count in account.dropped.items()} == {
        "region without a text": 2, "line that cannot be read": 1, "page after the first of an image file": 1,
    }  # fmt: skip
    assert account.dropped["line that cannot be read"].places[0].endswith("1.tsv:9: expected a number, got 'x'")
    (entry,), _ = read(tmp_path, level="word")
    assert [(r.text, r.score, r.points[1]) for r in entry.regions or []] == [
        ('"Yes', pytest.approx(0.965), (40, 20)), ("it's", None, (90, 20)),
    ]  # fmt: skip


@real
def test_real_samples(tmp_path: Path) -> None:
    (entry,), _ = read(sample("tesseract/trainingtimes.box"), level="word")
    assert [r.text for r in entry.regions or []] == ["To", "simple", "burn", "running", "of", "goods", "lately."]
    assert (entry.regions or [])[0].points == [(131, 91), (172, 91), (172, 120), (131, 120)]
    assert entry.size == (3600, 4800)
    (tmp_path / "trainingtimesline.box").write_bytes(sample("tesseract/trainingtimesline.box").read_bytes())
    (tmp_path / "trainingtimesline.tif").write_bytes(sample("tesseract/trainingtimes.tif").read_bytes())
    (entry,), account = read(tmp_path)
    (region,) = entry.regions or []
    assert region.text == "T o s i m p l e b u r n r u n n i n g o f g o o d s l a t e l y ."
    assert region.points == [(131, 91), (850, 91), (850, 130), (131, 130)] and not account.dropped
    (entry,), _ = read(sample("tesseract"), "kraken")
    assert (entry.name, entry.text) == ("a.png", "This is a test.")
