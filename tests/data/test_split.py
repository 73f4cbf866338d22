"""A validation share of the training data, and images that are in both splits."""

import random
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from ocrexp.assemble.data import build_source
from ocrexp.commands.eval import frozen_or_composed
from ocrexp.config.arguments import arrange
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, write_job
from ocrexp.config.plain import label_digest
from ocrexp.data.cls_lists import ClsLists
from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.split import ValSplit, common_line
from ocrexp.errors import ConfigError, DataError
from ocrexp.types import Record

REGIONS = '[{"transcription": "w", "points": [[1, 1], [20, 1], [20, 9], [1, 9]]}]'
SOURCES = {DetLists: REGIONS, RecLists: "text", ClsLists: "180"}


@pytest.fixture
def root(tmp_path):
    """Images of four pages of five lines each, `pageN/line_M.png`."""
    for page in range(4):
        (tmp_path / f"page{page}").mkdir()
        for line in range(5):
            cv2.imwrite(str(tmp_path / f"page{page}" / f"line_{line}.png"), np.zeros((10, 30, 3), np.uint8))
    return tmp_path


def write(root, label, name="train_list.txt", order=None):
    names = [f"page{page}/line_{line}.png" for page in range(4) for line in range(5)]
    if order is not None:
        random.Random(order).shuffle(names)
    (root / name).write_text("".join(f"{name}\t{label}\n" for name in names))


def names(records, root):
    return {record.image_path.relative_to(root).as_posix() for record in records}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_share_of_the_images_is_for_validation(root, kind, caplog):
    caplog.set_level("INFO")
    write(root, SOURCES[kind])
    source = kind(root, "train_list.txt", "val_list.txt", val_split=0.2)
    train, val = names(source.train_records(), root), names(source.val_records(), root)
    assert (len(train), len(val), len(train | val)) == (16, 4, 20)
    assert "val_split=0.2: 16 for training, 4 for validation" in caplog.text
    assert source.report() == []
    found = source.fingerprint()
    assert (found["train_images"], found["val_images"]) == ("16", "4")
    assert source.split_fingerprint("val").items() <= found.items()


def test_the_split_depends_on_names_and_seed_alone(root, tmp_path):
    write(root, "text")
    first = RecLists(root, "train_list.txt", val_split=0.25)
    write(root, "text", "shuffled.txt", order=1)
    shuffled = RecLists(root, "shuffled.txt", val_split=0.25)
    assert names(first.val_records(), root) == names(shuffled.val_records(), root)
    moved = root.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    again = RecLists(moved, "train_list.txt", None, val_split=0.25)
    assert names(again.val_records(), moved) == names(first.val_records(), root)
    assert again.fingerprint() == first.fingerprint()
    other = RecLists(moved, "train_list.txt", val_split=0.25, val_split_seed=1)
    assert names(other.val_records(), moved) != names(again.val_records(), moved)
    assert other.fingerprint()["val_sha256"] != again.fingerprint()["val_sha256"]


def test_more_images_move_few_others():
    def chosen(count):
        records = [Record(Path(f"d/{i}.png"), ("a",)) for i in range(count)]
        return {record.image_path for record in ValSplit(0.1)(records, Path("d"))[1]}

    before, after = chosen(2000), chosen(2020)
    assert (len(before), len(after)) == (200, 202)
    assert len(before - after) <= 5


@pytest.mark.parametrize("by", ["folder", r"page(\d)", "^[^/]+"])
def test_groups_stay_together(root, by):
    write(root, "text")
    source = RecLists(root, "train_list.txt", val_split=0.1, val_split_by=by)
    train, val = (
        {record.image_path.parent.name for record in r} for r in (source.train_records(), source.val_records())
    )
    assert (len(train), len(val), train & val) == (3, 1, set())


def test_lines_of_one_image_stay_together(root):
    write(root, "text")
    text = (root / "train_list.txt").read_text()
    (root / "train_list.txt").write_text(text * 3)
    source = RecLists(root, "train_list.txt", val_split=0.3)
    assert not names(source.train_records(), root) & names(source.val_records(), root)
    assert len(source.val_records()) == 18


def test_lmdb(tmp_path):
    lmdb = pytest.importorskip("lmdb", reason="extra 'lmdb' is not installed")
    from ocrexp.data.lmdb import RecLmdb

    for name in ("a", "b"):
        (tmp_path / "all" / name).mkdir(parents=True)
        with (
            lmdb.open(str(tmp_path / "all" / name), map_size=1 << 24) as opened,
            opened.begin(write=True) as transaction,
        ):
            for number in range(1, 11):
                transaction.put(b"label-%09d" % number, b"text")
                transaction.put(b"image-%09d" % number, b"an image")
            transaction.put(b"num-samples", b"10")
    source = RecLmdb(tmp_path, "all", "validation", val_split=0.1)
    assert (len(source.train_records()), len(source.val_records())) == (18, 2)
    source = RecLmdb(tmp_path, "all", val_split=0.1, val_split_by="folder")
    assert (len(source.train_records()), len(source.val_records())) == (10, 10)
    (tmp_path / "validation").mkdir()
    with pytest.raises(ValueError, match=r"val_split and val=validation.*val=null"):
        RecLmdb(tmp_path, "all", "validation", val_split=0.1)


@pytest.mark.parametrize("val", ["val_list.txt", "other.txt", ["a.txt", "b.txt"]])
def test_a_validation_list_beside_it_is_refused(root, val):
    (root / "val_list.txt").write_text("page0/line_0.png\ttext\n")
    with pytest.raises(ValueError) as raised:
        RecLists(root, "train_list.txt", val, val_split=0.1)
    assert "val_labels=null" in str(raised.value) and "val_split=null" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"val_split": 0}, r"val_split: expected a share above 0 and below 1, got 0"),
        ({"val_split": 1.0}, r"val_split: expected"),
        ({"val_split": -0.1}, r"val_split: expected"),
        ({"val_split": float("nan")}, r"val_split: expected"),
        ({"val_split": 0.1, "val_split_by": "("}, r"val_split_by: expected image, folder or a regular"),
        ({}, r"val_labels: is null.*val_split=0\.1"),
    ],
)
def test_values_that_cannot_be(root, options, said):
    with pytest.raises(ValueError, match=said):
        RecLists(root, "train_list.txt", None, **options)


def test_groups_that_cannot_be(root):
    write(root, "text")
    (root / "one.txt").write_text("page0/line_0.png\ttext\n")
    with pytest.raises(DataError, match=r"all 1 images are in one group"):
        RecLists(root, "one.txt", val_split=0.1).train_records()
    with pytest.raises(
        DataError, match=r"val_split_by='page4\|page3': 15 of 20 image paths do not match, the first page0"
    ):
        RecLists(root, "train_list.txt", val_split=0.1, val_split_by="page4|page3").val_records()


def test_by_the_command_line(root):
    write(root, "text")
    overrides = ["model=crnn_mbv3", "dataset=rec_list", f"dataset.root={root}"]
    config = compose("train", [*overrides, "dataset.val_split=0.2", "dataset.val_split_by=folder"])
    assert len(build_source(config.dataset).val_records()) == 5
    typed = arrange("train", ["dataset=rec_list", r"dataset.val_split_by=(page\d+)/, [x]?"])
    assert compose("train", typed).dataset.val_split_by == r"(page\d+)/, [x]?"
    seeds = [label_digest(compose("train", [*overrides, f"dataset.val_split_seed={seed}"])) for seed in (0, 1)]
    assert seeds[0] != seeds[1]
    assert OmegaConf.select(config, "dataset.val_labels") == "val_list.txt"


def test_another_validation_list_takes_the_place_of_the_runs_split(root, tmp_path):
    write(root, "text")
    overrides = ["model=crnn_mbv3", "dataset=rec_list", f"dataset.root={root}", "dataset.val_split=0.2"]
    write_job(tmp_path / "run", compose("train", overrides), JobInfo(name="run"))
    verb = OmegaConf.create({"run_dir": str(tmp_path / "run"), "checkpoint": "best"})
    write(root, "text", "other.txt")
    assert len(build_source(frozen_or_composed(verb, []).dataset).val_records()) == 4
    assert len(build_source(frozen_or_composed(verb, ["dataset.val_labels=other.txt"]).dataset).val_records()) == 20
    assert len(build_source(frozen_or_composed(verb, ["dataset.val_labels=null"]).dataset).val_records()) == 4
    with pytest.raises(
        ConfigError, match=r"^dataset\.val_split .* dataset\.val_labels=null .* dataset\.val_split=null"
    ):
        build_source(frozen_or_composed(verb, ["dataset.val_labels=other.txt", "dataset.val_split=0.1"]).dataset)


def test_images_of_both_splits_are_told(root):
    write(root, REGIONS)
    for val in ("train_list.txt", "copy.txt"):
        write(root, REGIONS, "copy.txt", order=2)
        (line,) = DetLists(root, "train_list.txt", val).report()
        assert line.startswith("train and val: 20 of 20 validation images are training images too, the first at ")
        assert f"{root / val}:1" in line and "val_split=0.1" in line
    (root / "val.txt").write_text(f"{root}/page1/../page2/line_1.png\t{REGIONS}\n./page0/line_9.png\t{REGIONS}\n")
    lines = DetLists(root, "train_list.txt", "val.txt").report()
    assert any(line.startswith("train and val: 1 of 2 ") for line in lines)


def test_equal_names_in_other_folders_are_other_images():
    train = [Record(Path(f"train/{i}.png"), ("a",)) for i in range(9)]
    assert common_line(train, [Record(Path(f"val/{i}.png"), ("a",)) for i in range(9)], "val") == []
    assert common_line(train, [], "val") == common_line([], train, "val") == []


def test_a_million_paths_take_little_time():
    train = [Record(Path(f"train/{i}.png"), ("a",)) for i in range(200_000)]
    val = [Record(Path(f"val/v{i}.png"), ("a",)) for i in range(20_000)]
    began = time.process_time()
    assert common_line(train, val, "val") == []
    assert time.process_time() - began < 5


def test_paths_that_are_written_in_other_ways_are_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    absolute = [
        Record(tmp_path / "a.png", ("a",)),
        Record(tmp_path / "d" / "b.png", ("a",)),
        Record(Path("/c.png"), ("a",)),
    ]
    written = [Record(Path("a.png"), ("a",)), Record(Path("x/../d/b.png"), ("a",)), Record(Path("//c.png"), ("a",))]
    (line,) = common_line(absolute, written, "val")
    assert line.startswith("train and val: 3 of 3 ")
