"""`ocrexp cut-lines` as a user types it; the detector is a stand-in, whose boxes differ from the labels."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.__main__ import main
from ocrexp.deploy import end_to_end
from ocrexp.deploy.detected_lines import CUT, NO_BOX, OTHER, detected_lines
from ocrexp.deploy.outputs import Reading
from ocrexp.results import DetReference
from ocrexp.types import Polygon


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


LABELS = [
    box(10, 10, 110, 30),
    box(10, 40, 110, 60),
    box(130, 40, 180, 60),
    box(10, 70, 110, 90),
    box(130, 70, 180, 90),
]
TEXTS = ["FIRST", "CUT OFF", "###", "MERGED", "OTHER"]
# The first is wider, the second lacks its last 30 pixels, the fourth covers the fifth too.
BOXES = [box(6, 8, 116, 34), box(10, 40, 80, 60), box(130, 40, 180, 60), box(10, 70, 182, 90)]


class StandIn:
    def __init__(self, settings: Any, threads: int) -> None:
        assert settings.rec is None

    def __call__(self, images: list[Any]) -> list[Reading]:
        return [Reading([one.copy() for one in BOXES], None, [0.9] * len(BOXES), {}) for _ in images]


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(end_to_end, "Engine", StandIn)
    rows, columns = np.indices((100, 200)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "page.png"), np.stack([rows, columns, rows], axis=2))
    regions = [{"transcription": text, "points": one.tolist()} for text, one in zip(TEXTS, LABELS, strict=True)]
    for split in ("train", "val"):
        (tmp_path / f"{split}_list.txt").write_text(f"page.png\t{json.dumps(regions)}\npage.png without a tab\n")
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "inference.onnx").touch()
    return ["cut-lines", f"det={tmp_path / 'det'}", f"dataset.root={tmp_path}", f"out={tmp_path / 'out'}"]


def test_lines_are_cut_by_the_boxes_that_show_them(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "train: 4 lines of 1 pages, 1 in boxes of the detector, 3 as labeled" in out
    assert all(f"1 lines {why}" in err for why in (CUT, OTHER, NO_BOX))
    assert all(f"{split}: 1 bad label line(s) skipped: " in err for split in ("train", "val"))
    lines = [line.split("\t") for line in (tmp_path / "out" / "train_list.txt").read_text().splitlines()]
    assert [text for _, text in lines] == ["FIRST", "CUT OFF", "MERGED", "OTHER"]
    sizes = [cv2.imread(str(tmp_path / "out" / name)).shape[:2] for name, _ in lines]
    assert sizes == [(26, 110), (20, 100), (20, 100), (20, 50)]
    first = cv2.imread(str(tmp_path / "out" / lines[0][0]))
    assert first[0, 0].tolist() == [8, 6, 8]  # the pixels of the box, not of the label
    assert (tmp_path / "out" / "val_list.txt").exists()


def test_a_margin_and_only_what_the_detector_finds(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()  # an empty folder may be there
    assert main([*arguments, "add_missed=false", "splits=[val]", "crop_margin=0.5"]) == 0
    (line,) = (tmp_path / "out" / "val_list.txt").read_text().splitlines()
    assert line.endswith("\tFIRST")
    assert cv2.imread(str(tmp_path / "out" / line.partition("\t")[0])).shape[:2] == (52, 136)
    assert not (tmp_path / "out" / "train_list.txt").exists()


def test_a_box_that_shows_another_text_is_left_out() -> None:
    labels = DetReference(LABELS, [text == "###" for text in TEXTS], TEXTS)
    strict = detected_lines(labels, BOXES, add_missed=False)
    assert [index for index, _, _ in strict.lines] == [0]
    loose = detected_lines(labels, BOXES, most_cut=2.0, most_other=1.0, add_missed=False)
    assert [index for index, _, _ in loose.lines] == [0, 1, 3]
    upright = [one[:, ::-1][[0, 3, 2, 1]] for one in LABELS]  # vertical lines: their ends are above and below
    boxes = [one[:, ::-1][[0, 3, 2, 1]] for one in BOXES]
    turned = detected_lines(DetReference(upright, [False] * 5, TEXTS), boxes, add_missed=False)
    assert turned.left[CUT] == 1


@pytest.mark.parametrize(("more", "words"), [
    (["det=null"], ["det", "det=DIR"]),
    (["splits=[test]"], ["splits", "train, val", "test"]),
    (["iou_threshold=2"], ["iou_threshold", "2"]),
    (["limit=0"], ["limit"]),
    (["most_cut=-1"], ["most_cut"]),
    (["dataset=rec_list", "dataset.root=."], ["dataset"]),
])  # fmt: skip
def test_bad_input_is_one_line(
    arguments: list[str], more: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [one for one in arguments if one.partition("=")[0] not in {item.partition("=")[0] for item in more}]
    assert main([*kept, *more]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1, err
    assert all(word in err for word in words), err


def test_an_existing_folder_is_not_overwritten(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    assert main(arguments) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
