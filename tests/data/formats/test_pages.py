"""Formats of data sets with regions: small files in each form, and the real samples."""

import json
from pathlib import Path

import pytest
from format_reading import picture, read, real, recognized, sample, write

IC15 = "377,117,463,117,465,130,378,130,Genaxis, Theatre\r\n374,155,409,155,409,170,374,170,###\r\n"


def test_icdar_2015_has_a_byte_order_mark_commas_in_texts_and_regions_to_ignore(tmp_path: Path) -> None:
    write(tmp_path / "train_gt" / "gt_img_2.txt", "\ufeff" + IC15)
    write(tmp_path / "test_gt" / "gt_img_2.txt", IC15 + "1,2,3,four,5,6,7,8,bad\n")
    picture(tmp_path / "train_images" / "img_2.jpg")
    picture(tmp_path / "test_images" / "img_2.jpg")
    assert recognized(tmp_path) == "icdar2015"
    entries, account = read(tmp_path)
    assert [(entry.name, entry.split) for entry in entries] == [
        ("test_images/img_2.jpg", "test"),
        ("train_images/img_2.jpg", "train"),
    ]
    first, second = entries[1].regions or []
    assert first.points == [(377, 117), (463, 117), (465, 130), (378, 130)]
    assert (first.text, first.ignored, second.text, second.ignored) == ("Genaxis, Theatre", False, None, True)
    kind = account.dropped["line that cannot be read"]
    assert kind.count == 1 and kind.places[0].endswith("gt_img_2.txt:3: expected a number, got 'four'")


@pytest.mark.parametrize("separator", [", ", " "])
def test_icdar_2013_has_two_corners_with_either_separator(tmp_path: Path, separator: str) -> None:
    write(tmp_path / "gt_100.txt", separator.join(["38", "43", "920", "215", '"4,000 "x""']) + "\n")
    assert recognized(tmp_path) == "icdar2013"
    (entry,), _ = read(tmp_path)
    (region,) = entry.regions or []
    assert region.points == [(38, 43), (920, 43), (920, 215), (38, 215)]
    assert region.text == '4,000 "x"' and entry.name == "100.jpg"


def test_multi_lingual_files_have_a_script_before_the_text(tmp_path: Path) -> None:
    line = "150,59,194,58,196,72,150,73,Arabic,متحف, one\n"
    write(tmp_path / "17" / "gt_img_1.txt", line)
    write(tmp_path / "19" / "tr_img_00001.txt", line)
    write(tmp_path / "e2e" / "gt_img_1.txt", "1.5,9,1.5,2,9,2,9,9,1, two words\n")
    assert recognized(tmp_path / "17") == "icdar2017_mlt"
    assert recognized(tmp_path / "19") == "icdar2019_mlt"
    (entry,), _ = read(tmp_path / "17")
    assert [(r.language, r.text) for r in entry.regions or []] == [("Arabic", "متحف, one")]
    (entry,), _ = read(tmp_path / "e2e", "icdar2017_mlt")
    assert [(r.points[0], r.text) for r in entry.regions or []] == [((1.5, 9), "two words")]


def test_word_crops_of_icdar(tmp_path: Path) -> None:
    write(tmp_path / "gt.txt", '\ufeffword_1.png, "A, b"\r\nword_2.png, "\\"SCAN\\""\r\n')
    entries, _ = read(tmp_path)
    assert recognized(tmp_path) == "icdar_words"
    assert [(entry.name, entry.text) for entry in entries] == [("word_1.png", "A, b"), ("word_2.png", '"SCAN"')]
    write(tmp_path / "mlt" / "gt.txt", "word_5.png,Latin,MAKKA, x\n")
    (entry,), _ = read(tmp_path / "mlt")
    assert (entry.text, entry.extra) == ("MAKKA, x", {"language": "Latin"})


def coco_text(outline: str) -> str:
    mask = [468.9, 286.7, 468.9, 295.2, 493.0, 295.8, 493.0, 287.2]
    label = {"image_id": 7, outline: mask, "bbox": [468.9, 286.7, 24.1, 9.1], "language": "english"}
    annotations = {
        "1": label | {"utf8_string": "New", "legibility": "legible", "class": "handwritten"},
        "2": label | {"utf8_string": "", "legibility": "illegible"},
        "3": label | {"utf8_string": "x", "legibility": "legible", "image_id": 9},
        "4": {"image_id": 7, "utf8_string": "y", "legibility": "legible", "bbox": [1, 2, "three", 4]},
    }
    image = {"file_name": "COCO_train2014_7.jpg", "width": 640, "height": 480, "set": "val"}
    return json.dumps({"imgs": {"7": image}, "anns": annotations, "imgToAnns": {"7": [1, 2]}})


@pytest.mark.parametrize("outline", ["mask", "polygon"])
def test_coco_text_runs_counterclockwise_and_has_illegible_words(tmp_path: Path, outline: str) -> None:
    write(tmp_path / "cocotext.v2.json", coco_text(outline))
    assert recognized(tmp_path) == "coco_text"
    (entry,), account = read(tmp_path)
    first, second = entry.regions or []
    assert first.points == [(468.9, 286.7), (493.0, 287.2), (493.0, 295.8), (468.9, 295.2)]
    assert (first.text, first.language, first.extra, second.ignored) == ("New", "english", {"class": "handwritten"}, 1)
    assert (entry.split, entry.size) == ("val", (640, 480))
    assert account.dropped["annotation of an image that the file does not list"].count == 1
    assert "anns 4: expected a number, got 'three'" in account.dropped["annotation that cannot be read"].places[0]


@pytest.mark.parametrize("first", ["imgs", "anns"])
def test_a_large_file_is_recognized_whatever_its_order(tmp_path: Path, first: str) -> None:
    whole = json.loads(coco_text("mask"))
    whole["imgs"] |= {str(i): {"file_name": f"{i}.jpg", "width": 1, "height": 1} for i in range(8, 3000)}
    label = whole["anns"]["1"]
    whole["anns"] |= {str(i): label for i in range(10, 600)}
    parts = [first, "anns" if first == "imgs" else "imgs", "imgToAnns"]
    write(tmp_path / "cocotext.v2.json", json.dumps({part: whole[part] for part in parts}))
    assert recognized(tmp_path) == "coco_text"
    assert len(read(tmp_path)[0]) == 2993


def test_textocr_marks_words_that_cannot_be_read_with_a_dot(tmp_path: Path) -> None:
    flat = [525.8, 3.4, 723.4, 7.3, 722.7, 37.3, 525.8, 33.1]
    annotations = {
        f"a_{i}": {"image_id": "a", "points": flat, "utf8_string": text} for i, text in enumerate(["Sample", "."])
    }
    image = {"id": "a", "width": 1024, "height": 734, "set": "train", "file_name": "train/a.jpg"}
    write(tmp_path / "TextOCR_0.1_train.json", json.dumps({"imgs": {"a": image}, "anns": annotations}))
    assert recognized(tmp_path) == "textocr"
    (entry,), _ = read(tmp_path)
    assert [(r.text, r.ignored) for r in entry.regions or []] == [("Sample", False), (None, True)]


@real
def test_real_samples_of_icdar_and_coco_text() -> None:
    entries, _ = read(sample("icdar2015/det"))
    assert [len(entry.regions or []) for entry in entries] == [7, 2, 8]
    assert [r.text for r in entries[2].regions or []][1:4] == ["HarbourFront", "CC22", "bua"]
    (_, entry), _ = read(sample("icdar2013/det_test"))
    assert [r.text for r in entry.regions or []] == ["8", "H", "319", "10"]
    entries, _ = read(sample("icdar2015/rec"))
    assert [entry.text for entry in entries][-3:] == ['READER"', '"SCAN"', '"CARD']
    (entry,), _ = read(sample("icdar2019_mlt"))
    assert [r.language for r in entry.regions or []] == ["Latin", "Latin", "Arabic", "Hindi"]
    entries, _ = read(sample("coco_text"))
    assert [[r.text for r in entry.regions or []] for entry in entries] == [["New"], ["ELVERT", None], []]
    (entry,), _ = read(sample("textocr"))
    assert [r.text for r in entry.regions or []] == ["Sample", None]
