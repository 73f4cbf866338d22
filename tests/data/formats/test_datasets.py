"""Data sets that are trained in their own format, through the same readers as `convert`."""

import json
from pathlib import Path

import pytest
from format_reading import picture, write
from omegaconf import OmegaConf
from shard_making import png, word_shards

from ocrexp.config.build import build
from ocrexp.config.paths import shipped_conf
from ocrexp.data.format_lists import DetFormat, RecFormat
from ocrexp.data.formats.registry import FORMATS
from ocrexp.data.lists import DetLists
from ocrexp.errors import DataError

OPTIONS = [
    path.stem
    for path in sorted((shipped_conf() / "dataset").glob("*.yaml"))
    if "format_lists" in path.read_text(encoding="utf-8")
]


@pytest.fixture
def icdar(tmp_path: Path) -> Path:
    for part, names in (("train", ["1", "2", "3"]), ("test", ["1", "9"])):
        for name in names:
            write(tmp_path / f"{part}_gt" / f"gt_img_{name}.txt", f"1,1,50,1,50,20,1,20,{part} {name}\nbad\n")
            if (part, name) != ("train", "3"):
                picture(tmp_path / f"{part}_images" / f"img_{name}.jpg")
    return tmp_path


def test_parts_of_the_source_are_training_and_validation(icdar: Path) -> None:
    source = DetFormat(icdar, "icdar2015")
    records = source.train_records()
    assert [record.texts for record in records] == [("train 1",), ("train 2",)]
    assert records[0].image_path == icdar / "train_images" / "img_1.jpg"
    assert [record.texts for record in source.val_records()] == [("test 1",), ("test 9",)]
    report = "\n".join(source.report())
    assert "train: 1 missing image(s) skipped" in report
    assert "train: dropped: 5 × line that cannot be read" in report and "gt_img_1.txt:2: expected 8 numbers" in report
    again = DetFormat(icdar, "icdar2015").fingerprint()
    assert again == source.fingerprint() and again["train_images"] == "2"


def test_it_is_the_same_as_the_converted_list(icdar: Path, tmp_path: Path) -> None:
    lines = [
        f'train_images/img_{i}.jpg\t[{{"transcription": "train {i}", "points": [[1, 1], [50, 1], [50, 20], [1, 20]]}}]'
        for i in (1, 2)
    ]
    write(icdar / "list.txt", "\n".join(lines))
    listed = DetLists(icdar, "list.txt", "list.txt").train_records()
    direct = DetFormat(icdar, "icdar2015", "train_gt", "test_gt").train_records()
    for one, other in zip(listed, direct, strict=True):
        assert (one.image_path, one.texts, one.ignored) == (other.image_path, other.texts, other.ignored)
        assert [p.tolist() for p in one.polygons] == [p.tolist() for p in other.polygons]


def test_a_source_without_parts_is_divided(tmp_path: Path) -> None:
    labels = {}
    for i in range(10):
        picture(tmp_path / "images" / f"{i}.png")
        labels[f"{i}.png"] = f"text {i}"
    write(tmp_path / "labels.json", json.dumps(labels))
    with pytest.raises(DataError, match=r"has no parts.*val_split=0.1"):
        RecFormat(tmp_path, "doctr").val_records()
    source = RecFormat(tmp_path, "doctr", val_split=0.3)
    assert (len(source.train_records()), len(source.val_records())) == (7, 3)
    assert not {r.texts for r in source.train_records()} & {r.texts for r in source.val_records()}


def test_a_source_that_is_all_test_can_be_divided(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / f"{i}.png")
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(4)]
    boxes = [{"image_id": i, "category_id": 1, "bbox": [1, 2, 30, 20]} for i in range(4)]
    write(tmp_path / "instances_test.json", json.dumps({"images": images, "annotations": boxes, "categories": []}))
    source = DetFormat(tmp_path, "coco", val_split=0.5)
    assert (len(source.train_records()), len(source.val_records())) == (2, 2)


@pytest.mark.parametrize(("name", "data"), [("lmdb", "rec_lmdb"), ("shards", "rec_shards")])
def test_images_within_databases_and_shards_have_data_sets_of_their_own(tmp_path: Path, name: str, data: str) -> None:
    if name == "lmdb":
        lmdb = pytest.importorskip("lmdb", reason="lmdb is not installed: pip install 'ocrexp[formats]'")
        with lmdb.open(str(tmp_path), map_size=1 << 20) as database, database.begin(write=True) as writing:
            for key, value in (("image-000000001", png(9)), ("label-000000001", b"a"), ("num-samples", b"1")):
                writing.put(key.encode(), value)
    else:
        word_shards(tmp_path, [2])
    with pytest.raises(DataError, match=f"use dataset={data} dataset.root="):
        RecFormat(tmp_path, name, val_split=0.5).train_records()


def test_faults_name_the_option_and_the_file(tmp_path: Path) -> None:
    for arguments, message in (
        ({"format": "coco_txt"}, r"format: expected one of .*; did you mean coco_text"),
        ({"format": "mjsynth"}, "format: expected one of"),
        ({"format": "coco_text", "level": "word"}, "level: coco_text does not use it"),
    ):
        with pytest.raises(ValueError, match=message):
            DetFormat(tmp_path, **arguments)
    write(tmp_path / "cocotext.v2.json", '{"imgs": {}, "legibility": "utf8_string"')
    with pytest.raises(DataError, match=r"cocotext\.v2\.json:1:41: is not JSON"):
        DetFormat(tmp_path, "coco_text").train_records()


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_reads_its_format(name: str, tmp_path: Path) -> None:
    node = OmegaConf.load(shipped_conf() / "dataset" / f"{name}.yaml")
    whole = OmegaConf.merge(
        OmegaConf.load(shipped_conf() / "dataset" / "_lists.yaml"),
        OmegaConf.load(shipped_conf() / "dataset" / "_format.yaml"),
        node,
    )
    assert node.defaults == ["_format", "_self_"] and set(node) == {"defaults", "_target_", "format"}
    del whole["defaults"], whole["val_sets"]
    whole.root = str(tmp_path)
    if OmegaConf.is_missing(whole, "format"):
        whole.format = "mmocr"
    source = build(OmegaConf.create({"dataset": whole}).dataset)
    assert isinstance(source, DetFormat | RecFormat) and whole.format in FORMATS
    with pytest.raises(DataError, match=r"has no usable image|has no \.mat file"):
        source.train_records()
