"""`ocrexp convert` as a user types it."""

import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from format_reading import convert, picture, write
from omegaconf import OmegaConf

from ocrexp.config.paths import shipped_conf
from ocrexp.data.formats.settings import settings_from
from ocrexp.data.lists import DetLists
from ocrexp.data.lmdb import RecLmdb
from ocrexp.data.rec_lists import RecLists
from ocrexp.errors import ConfigError

REGIONS = [
    {"transcription": "MAIN", "points": [[10, 10], [110, 10], [110, 30], [10, 30]]},
    {"transcription": "###", "points": [[10, 40], [110, 40], [110, 60], [10, 60]]},
    {"transcription": "up", "points": [[150, 10], [160, 10], [160, 60], [150, 60]], "language": "en"},
]


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Ten pages, of which the last is missing, and a bad line."""
    folder = tmp_path / "pages"
    lines = []
    for i in range(10):
        if i < 9:
            picture(folder / "images" / f"p{i}.png")
        lines.append(f"images/p{i}.png\t{json.dumps(REGIONS)}\n")
    write(folder / "list.txt", "".join(lines) + "images/p0.png\t[{]\n")
    return folder


def test_lists_refer_to_images_and_nothing_is_dropped_without_a_count(
    pages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(f"root={pages}", f"out={tmp_path / 'out'}", "split=0.7", "to=paddleocr")
    out, err = capsys.readouterr()
    assert "as paddleocr (list.txt has lines of a path, a tab and regions in JSON)" in out
    assert "train: 6 images, 18 regions (6 of them to ignore)" in out and "val: 3 images" in out
    report = json.loads((tmp_path / "out" / "convert.json").read_text())
    assert report["written"]["train"] == {"images": 6, "regions": 18, "ignored": 6, "texts": 12}
    counts = {kind["what"]: kind["count"] for kind in report["dropped"]}
    assert counts == {"line that cannot be read": 1, "label of an image that was not found": 1}
    assert "dropped: 1 × line that cannot be read" in err and "list.txt:11: broken JSON" in err
    records = DetLists(tmp_path / "out", "train_list.txt", "val_list.txt").train_records()
    assert len(records) == 6 and records[0].texts == ("MAIN", "###", "up")
    before = (tmp_path / "out" / "val_list.txt").read_text()
    convert(f"root={pages}", f"out={tmp_path / 'again'}", "split=0.7")
    assert (tmp_path / "again" / "val_list.txt").read_text() == before


def test_nothing_is_overwritten_and_bad_values_are_named(
    pages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for words, message in (
        ([f"out={pages}"], "exists and is not overwritten"),
        ([f"out={out}", "from=icdar2051"], "did you mean icdar2015?"),
        ([f"out={out}", "from=icdar2013"], "contains no usable image"),
    ):
        convert(f"root={pages}", *words, code=2)
        assert message in capsys.readouterr().err, words
    assert not out.exists()
    values: Any = OmegaConf.to_container(OmegaConf.load(shipped_conf() / "convert.yaml"), throw_on_missing=False)
    values |= {"root": str(pages), "out": str(out)}
    for change, message in (
        ({"to": "icdar2015"}, "to: expected one of paddleocr"),
        ({"split": 1.5}, "split: expected a share above 0 and below 1"),
        ({"placeholder": "###"}, "placeholder: expected a text that does not mark"),
        ({"level": "line"}, "level: paddleocr does not use it"),
        ({"images": "move"}, "images: expected one of link, copy"),
        ({"crops": True, "to": "coco"}, "to=coco: does not hold images of one text"),
        ({"from": "mjsynth", "to": "coco"}, "to=coco: mjsynth has one text per image"),
        ({"from": "icdar2015", "to": "lmdb"}, "add crops=true to cut them"),
    ):
        with pytest.raises(ConfigError) as caught:
            settings_from(values | change)
        assert message in str(caught.value)


def test_images_without_a_label_are_counted(pages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(pages / "more" / "p99.png")
    picture(pages / "crop_img" / "p0_crop_0.jpg")  # of PPOCRLabel
    convert(f"root={pages}", f"out={tmp_path / 'out'}")
    assert f"dropped: 1 × image without a label: {pages / 'more' / 'p99.png'}" in capsys.readouterr().err
    convert(f"root={pages / 'list.txt'}", f"out={tmp_path / 'file'}")
    assert "without a label" not in capsys.readouterr().err


@pytest.mark.parametrize("to", [["to=coco"], ["to=shards"], ["crops=true"]])
def test_why_nothing_could_be_written(tmp_path: Path, to: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "pages" / "list.txt", f"images/none.png\t{json.dumps(REGIONS)}\n")
    convert(f"root={tmp_path / 'pages'}", f"out={tmp_path / 'out'}", "missing_images=keep", "workers=1", *to, code=2)
    assert "contains no usable image; dropped: 1 × " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_crops_are_cut_in_processes_as_predict_cuts_them(pages: Path, tmp_path: Path) -> None:
    convert(f"root={pages}", f"out={tmp_path / 'one'}", "crops=true", "workers=1", "limit=3")
    convert(f"root={pages}", f"out={tmp_path / 'two'}", "crops=true", "workers=2", "limit=3")
    text = (tmp_path / "one" / "train_list.txt").read_text()
    assert text == (tmp_path / "two" / "train_list.txt").read_text()
    records = RecLists(tmp_path / "two", "train_list.txt", "train_list.txt").train_records()
    assert [record.texts[0] for record in records] == ["MAIN", "up"] * 3
    page = cv2.imread(str(pages / "images" / "p0.png"))
    assert np.array_equal(cv2.imread(str(records[0].image_path)), page[10:30, 10:110])
    assert np.array_equal(cv2.imread(str(records[1].image_path)), np.rot90(page[10:60, 150:160]))
    report = json.loads((tmp_path / "two" / "convert.json").read_text())
    assert {"what": "region to ignore, not cut", "count": 3} in [
        {"what": kind["what"], "count": kind["count"]} for kind in report["dropped"]
    ]


def test_filters_ignore_regions_of_pages(pages: Path, tmp_path: Path) -> None:
    write(tmp_path / "dict.txt", "\n".join("MAINE"))
    convert(
        f"root={pages}", f"out={tmp_path / 'out'}", f"dictionary={tmp_path / 'dict.txt'}", "sample=4", "images=copy"
    )  # fmt: skip
    lines = (tmp_path / "out" / "train_list.txt").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        name, _, label = line.partition("\t")
        assert (tmp_path / "out" / name).is_file() and not (tmp_path / "out" / name).is_symlink()
        assert [region["transcription"] for region in json.loads(label)] == ["MAIN", "###", "###"]
    report = json.loads((tmp_path / "out" / "convert.json").read_text())
    changed = {kind["what"]: kind["count"] for kind in report["changed"]}
    assert changed["region whose text has characters outside dictionary, marked to be ignored"] == 4


def test_data_sets_are_joined(pages: Path, tmp_path: Path) -> None:
    write(tmp_path / "ic15" / "gt_p0.txt", "1,1,50,1,50,20,1,20,ONE\n")
    picture(tmp_path / "ic15" / "p0.png")
    convert(f"root=[{pages},{tmp_path / 'ic15'}]", f"out={tmp_path / 'out'}", "images=copy", "from=[auto,icdar2015]")
    names = [line.split("\t")[0] for line in (tmp_path / "out" / "train_list.txt").read_text().splitlines()]
    assert len(set(names)) == 10 and names[-1] == "images/p0.png"


@pytest.mark.parametrize(("to", "part"), [("lmdb", "train"), ("paddleocr", "test"), ("lmdb", "test")])
def test_the_printed_command_reads_the_only_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, part: str
) -> None:
    for i in range(10):
        picture(tmp_path / "in" / f"{i}.png", height=20 + i)
    write(tmp_path / "in" / f"{part}_list.txt", "".join(f"{i}.png\ttext {i}\n" for i in range(10)))
    convert(f"root={tmp_path / 'in'}", f"out={tmp_path / 'out'}", f"to={to}")
    printed = capsys.readouterr().out.partition("(train: ")[2].strip().removesuffix(")")
    words = dict(word.split("=", 1) for word in shlex.split(printed)[3:])
    values = {key.removeprefix("dataset."): value for key, value in words.items() if key.startswith("dataset.")}
    source: Any
    if to == "lmdb":
        source = RecLmdb(values["root"], values["train"], val=None, val_split=0.1)
    else:
        source = RecLists(values["root"], values["train_labels"], val_labels=None, val_split=0.1)
    assert len(source.train_records()) + len(source.val_records()) == 10


def test_regions_outside_their_image_are_not_cut_and_boxes_end_at_the_edge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "in" / "1.png")
    boxes = {
        "in": (10, 20),
        "part": (160, 20),
        "most": (180, 20),
        "out": (300, 20),
    }  # of 50 x 20 in an image of 200 x 100
    regions = [
        {"transcription": text, "points": [[x, y], [x + 50, y], [x + 50, y + 20], [x, y + 20]]}
        for text, (x, y) in boxes.items()
    ]
    write(tmp_path / "in" / "train_list.txt", f"1.png\t{json.dumps(regions)}\n")
    convert(f"root={tmp_path / 'in'}", f"out={tmp_path / 'crops'}", "crops=true", "workers=1")
    assert (tmp_path / "crops" / "train_list.txt").read_text() == "images/1_crop_0.png\tin\nimages/1_crop_1.png\tpart\n"
    assert "dropped: 2 × region more than half outside its image, not cut: " in capsys.readouterr().err
    convert(f"root={tmp_path / 'in'}", f"out={tmp_path / 'yolo'}", "to=labelimg_yolo")
    lines = (tmp_path / "yolo" / "labels" / "1.txt").read_text().split("\n")
    assert lines == ["0 0.175 0.3 0.25 0.2", "0 0.9 0.3 0.2 0.2", "0 0.95 0.3 0.1 0.2", ""]
    printed = capsys.readouterr().err
    assert "changed: 2 × region that reaches beyond its image, cut at the edge" in printed
    assert "dropped: 1 × region outside its image" in printed
