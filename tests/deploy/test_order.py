"""Reading order, against PaddleOCR's on ordinary pages and right where that errs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ocrexp.deploy.order import reading_order

CASES = json.loads((Path(__file__).parents[1] / "golden" / "deploy" / "sorted_boxes.json").read_text())


def ordered(boxes: list) -> list:
    return [boxes[index] for index in reading_order([np.array(box, np.float32) for box in boxes])]


@pytest.mark.parametrize("case", ["two_lines", "exactly_10_apart", "empty"])
def test_ordinary_pages_are_read_as_by_paddleocr(case: str) -> None:
    assert ordered(CASES[case]["boxes"]) == CASES[case]["sorted"]


def test_a_sloping_line_is_read_from_the_left() -> None:
    """PaddleOCR swaps neighbours only: the words of this line come out in pairs from the right."""
    case = CASES["staircase_drift"]
    found = [box[0][0] for box in ordered(case["boxes"])]
    assert found == sorted(found)
    assert [box[0][0] for box in case["sorted"]] != found


def test_heights_decide_what_is_a_line() -> None:
    tall = [[[0, 0], [300, 0], [300, 90], [0, 90]], [[320, 18], [600, 18], [600, 102], [320, 102]]]
    assert ordered(tall[::-1]) == tall  # 18 pixels apart: two lines to PaddleOCR, the second first if it is higher
    small = [[[200, 10], [260, 10], [260, 16], [200, 16]], [[10, 18], [100, 18], [100, 24], [10, 24]]]
    assert ordered(small) == small  # 8 pixels apart: one line to PaddleOCR


@pytest.mark.parametrize("degrees", [-12, -5, 0, 5, 12])
def test_a_turned_page_is_read_as_an_upright_one(degrees: float) -> None:
    rng = np.random.default_rng(0)
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    boxes = []
    for row in range(8):
        x = 20.0
        while x < 700:
            width = rng.uniform(30, 140)
            y = 40 * row + rng.uniform(-3, 3)
            boxes.append(np.array([[x, y], [x + width, y], [x + width, y + 20], [x, y + 20]]) @ matrix.T)
            x += width + rng.uniform(8, 60)
    shuffled = rng.permutation(len(boxes))
    order = reading_order([boxes[index].astype(np.float32) for index in shuffled])
    assert [int(shuffled[index]) for index in order] == list(range(len(boxes)))


def test_receipts_are_read_as_by_paddleocr_but_where_it_errs(real_data: Path) -> None:
    same = total = 0
    for text in (real_data / "sroie_det" / "val_list.txt").read_text("utf-8").splitlines():
        boxes = [entry["points"] for entry in json.loads(text.split("\t")[1]) if len(entry["points"]) == 4]
        total += 1
        same += ordered(boxes) == paddleocr_order(boxes)
    # The rest was looked at: lines that PaddleOCR tears apart ("$10.70 $0.00 CHANGE").
    assert same >= 0.85 * total


def paddleocr_order(boxes: list) -> list:
    """Its rule: by height, then neighbours less than 10 pixels apart swapped while the right one is further left."""
    found = sorted(boxes, key=lambda box: (box[0][1], box[0][0]))
    for end in range(1, len(found)):
        place = end
        while (
            place
            and abs(found[place][0][1] - found[place - 1][0][1]) < 10
            and found[place][0][0] < found[place - 1][0][0]
        ):
            found[place - 1], found[place] = found[place], found[place - 1]
            place -= 1
    return found
