"""Lists as strangers write them: delimiters, JSON, depth, look-alikes."""

import json

import numpy as np
import planted
import pytest
from planted import det_plan

from ocrexp.data.checking import lookalikes
from ocrexp.data.checking.check import check_dataset
from ocrexp.data.checking.delimiter import divide, second_image
from ocrexp.data.checking.geometry import PolygonTable, rotated_points, wrong_start
from ocrexp.data.checking.json_repair import repair


@pytest.mark.parametrize(
    ("line", "path", "label"),
    [
        ("a b/1.jpg text with spaces", "a b/1.jpg", "text with spaces"),
        ('1.png,"say ""yes"", now"', "1.png", 'say "yes", now'),
        ("1.PNG;x", "1.PNG", "x"),
        ("1.jpg\\tescaped", "1.jpg", "escaped"),
        ('"1.jpg" | x', "1.jpg", "x"),
        ("no image here", None, None),
    ],
)
def test_what_separates_path_and_label(line, path, label):
    found = divide(line)
    assert (found.path, found.label) == (path, label) if path else found is None


def test_a_missing_line_end():
    assert second_image("onetrain/2.png\ttwo", "train/1.png") == ("one", "train/2.png", "two")
    assert second_image("[] x/2.png\t[]") == ("[] ", "x/2.png", "[]")
    assert second_image("a label with a tab\tand more") is None


REGION = {"transcription": 'it\'s "so"', "points": [[1, 2], [3.5, 4], [5, 6]]}


@pytest.mark.parametrize(
    ("label", "kinds"),
    [
        (str([REGION]), ["json-quotes"]),
        (json.dumps([REGION])[:-1] + ",]", ["json-commas"]),
        (json.dumps(REGION), ["json-single"]),
        ("[{transcription: 'x', 'points': [(1, 2), (3, 4), (5, 6),]}]", ["json-quotes", "json-commas"]),
    ],
)
def test_json_that_is_repaired(label, kinds):
    found = repair(label)
    assert sorted(found.kinds) == sorted(kinds)
    (region,) = json.loads(found.label)
    assert set(region) == {"transcription", "points"} and len(region["points"]) == 3


@pytest.mark.parametrize(
    "label", ["[" * 100_000, "[{'a': ", '[{"a": 1}] rest', "[1e999999999, __import__('os')]", "[]"]
)
def test_json_that_is_not_guessed(label):
    assert repair(label) is None


def test_two_images_on_a_line_of_regions():
    label = json.dumps([REGION])
    found = repair(f"{label}b/2.jpg\t{label}")
    assert found.others == [("b/2.jpg", label)] and found.label == label


def test_hostile_lines_end_soon(tmp_path):
    lists = planted.clean_det(tmp_path)
    lists.add("train_list.txt", "train/0.png\t" + "[" * 100_000 + "]" * 100_000)
    points = [[i % 120, i * 7 % 90] for i in range(50_000)]
    lists.add("train_list.txt", f"train/1.png\t{json.dumps([planted.region('x', points)])}")
    lists.write()
    findings = check_dataset(det_plan(tmp_path))
    assert {problem.place.line for problem in findings.problems if problem.kind.severity == "error"} == {6, 7}


def test_words_of_two_scripts():
    assert lookalikes.foreign_letters("the Рaris Café") == ("Рaris", "Paris")  # a Cyrillic letter
    assert lookalikes.without_foreign_letters("Рaris, мoст") == "Paris, мост"  # a Latin o in the second word
    for text in ("Привет world", "10 kΩ", "α-helix", "Ünïcode", "你好abc", "Ñandú"):
        assert lookalikes.foreign_letters(text) is None
    assert lookalikes.double_word("СОСА cola") == "СОСА" and lookalikes.double_word("Москва") is None


def test_where_a_quadrilateral_starts():
    quad = np.array(planted.quad(0, 0), np.float32)
    starts = [wrong_start(np.roll(quad, -k, axis=0)) for k in range(4)]
    assert starts == [None, "upper right", "lower right", "lower left"]
    upright = np.array(planted.quad(0, 0, 20, 90), np.float32)  # a line of characters below each other
    assert wrong_start(upright) is None
    table = PolygonTable([quad, quad[::-1]])
    assert table.area.tolist() == [3600, -3600] and np.allclose(table.short, 30)


def test_points_are_rotated_as_the_image_is():
    import cv2

    stored = np.zeros((20, 40, 3), np.uint8)
    stored[3:5, 30:32] = 255
    for orientation in range(2, 9):
        jpeg = planted.with_exif(planted.jpeg_of(stored, 100), orientation)
        upright = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        (point,) = rotated_points(np.array([[31, 4]], np.float32), orientation, *upright.shape[:2]).astype(int)
        window = upright[point[1] - 1 : point[1] + 1, point[0] - 1 : point[0] + 1]
        assert window.mean() > 150, orientation
