"""LMDB folders as a data source: what is left out, what is refused, and reading from forked workers."""

import os
import sys

import cv2
import numpy as np
import pytest

from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.images import read_image
from ocrexp.data.lmdb import RecLmdb
from ocrexp.data.loaders import build_eval_loader, build_train_loader
from ocrexp.errors import DataError
from ocrexp.results import RecReference
from ocrexp.tasks.find import find_task
from ocrexp.types import UnusableSample

lmdb = pytest.importorskip("lmdb", reason="extra 'lmdb' is not installed")
NODE = {"batch_size": 2, "eval_batch_size": 4, "num_workers": 0, "prefetch": 2, "shuffle": False, "drop_last": False}


def png(value, size=(8, 16)):
    return cv2.imencode(".png", np.full((*size, 3), value, np.uint8))[1].tobytes()


def make(folder, labels, images=None, count=None):
    """An LMDB of these labels (bytes, text, or None for no key) and images of growing grey."""
    folder.mkdir(parents=True)
    environment = lmdb.open(str(folder), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for number, label in enumerate(labels, start=1):
            image = png(number) if images is None else images[number - 1]
            if label is not None:
                transaction.put(b"label-%09d" % number, label if isinstance(label, bytes) else label.encode())
            if image is not None:
                transaction.put(b"image-%09d" % number, image)
        if count != "none":
            transaction.put(b"num-samples", str(len(labels) if count is None else count).encode())
    environment.close()
    return folder


@pytest.fixture
def root(tmp_path):
    make(tmp_path / "training" / "MJ", ["one", "two words", " trois "])
    make(tmp_path / "training" / "ST", ["four"])
    make(tmp_path / "validation", ["Five", "six"])
    return tmp_path


def test_records(root):
    source = RecLmdb(root, ["training/MJ", "training/ST"], "validation", ratios=[1, 0.5])
    records = source.train_records()
    assert [(r.texts, r.list_index) for r in records] == [
        (("one",), 0),
        (("two words",), 0),
        ((" trois ",), 0),
        (("four",), 1),
    ]
    assert records[1].image_path == root / "training" / "MJ" / "image-000000002"
    assert records[1].source == f"{root / 'training' / 'MJ'}:label-000000002"
    assert read_image(records[1].image_path)[0, 0].tolist() == [2, 2, 2]
    assert source.report() == []
    assert source.fingerprint()["train_images"] == "4"
    assert source.ratios == [1, 0.5]
    with pytest.raises(ValueError, match=r"ratios: .* 2 .*got 1"):
        RecLmdb(root, ["a", "b"], "c", ratios=[1])


def test_a_folder_stands_for_all_below_it(root):
    records = RecLmdb(root, "training", "validation").train_records()
    assert [record.texts[0] for record in records] == ["one", "two words", " trois ", "four"]
    assert {record.list_index for record in records} == {0}


def test_folders_take_part_by_their_ratios(tmp_path):
    make(tmp_path / "MJ", [f"m{i}" for i in range(8)])
    make(tmp_path / "ST" / "a", ["a0", "a1"])
    make(tmp_path / "ST" / "b", ["b0", "b1"])
    source = RecLmdb(tmp_path, ["MJ", "ST"], "MJ", ratios=[0.5, 2])
    loader = build_train_loader(
        TrainPipeline(source.train_records(), [], 0), collate=lambda samples, empty: [s["texts"][0] for s in samples],
        several_sizes=True, ratios=source.ratios, seed=0, rank=0, world_size=1, **{**NODE, "shuffle": True},
    )  # fmt: skip
    texts = sorted(text for batch in loader.epoch(0) for text in batch)
    assert texts[:8] == ["a0", "a0", "a1", "a1", "b0", "b0", "b1", "b1"]
    assert len(set(texts[8:])) == 4  # a half of the other database


def test_the_fingerprint_is_that_of_the_labels(root, tmp_path):
    make(tmp_path / "other" / "training", ["one", "two words", " trois "])
    make(tmp_path / "other" / "changed", ["one", "two words", "trois"])
    first, same, changed = (
        RecLmdb(folder, part, str(root / "validation")).fingerprint()["train_sha256"]
        for folder, part in [(root, "training/MJ"), (tmp_path / "other", "training"), (tmp_path / "other", "changed")]
    )
    assert first == same != changed


def test_what_is_left_out_is_counted(root):
    folder = make(
        root / "bad",
        ["good", None, "", "  ", "caf\u00e9".encode("latin1"), "no image", "fine"],
        [png(1), png(2), png(3), png(4), png(5), None, png(7)],
        count=9,
    )
    source = RecLmdb(root, "bad", "bad")
    assert [record.texts[0] for record in source.train_records()] == ["good", "fine"]
    assert [record.texts[0] for record in source.val_records()] == ["good", "no image", "fine"]
    train = [line for line in source.report() if line.startswith("train: ")]
    assert train == [
        f"train: 2 empty label(s) skipped: {folder}:label-000000003; {folder}:label-000000004",
        f"train: 1 label(s) that are not UTF-8 skipped: {folder}:label-000000005 (byte 0xe9)",
        "train: 3 entries without a label skipped (num-samples is 9, the last label is 7): "
        f"{folder}:label-000000002; {folder}:label-000000008; {folder}:label-000000009",
        f"train: 1 missing image(s) skipped: {folder}/image-000000006",
    ]
    assert (
        f"val: 1 missing image(s) counted as images in which nothing was read: {folder}/image-000000006"
        in source.report()
    )


def test_entries_beyond_num_samples_are_not_read(root):
    make(root / "short", ["a", "b", "c"], count=2)
    source = RecLmdb(root, "short", "short")
    assert len(source.train_records()) == 2
    assert source.report()[0].startswith("train: 1 label(s) beyond num-samples=2 ignored")


@pytest.mark.parametrize(
    ("labels", "count", "said"),
    [
        (
            ["a"],
            "none",
            r"x has no key num-samples \(2 other keys\); write the number of samples to it, or create the",
        ),
        (["a"], "many", r"num-samples of .*x: expected a number above 0, got 'many'; write the number"),
        (["a"], 0, r"num-samples of .*x: expected a number above 0, got '0'; write the number"),
        (["", ""], None, r"none of the 2 entries of .*x can be used, the first: .*x:label-000000001"),
    ],
)
def test_what_cannot_be_used_is_refused(root, labels, count, said):
    make(root / "x", labels, count=count)
    with pytest.raises(DataError, match=said) as raised:
        RecLmdb(root, "x", "validation").train_records()
    assert "\n" not in str(raised.value)


def test_all_images_missing(root):
    make(root / "x", ["a", "b"], [None, None])
    with pytest.raises(DataError, match=r"none of the 2 entries of .* the first: .*image-000000001 is missing"):
        RecLmdb(root, "x", "validation").train_records()


def test_no_lmdb_folder(root):
    (root / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"empty is not an LMDB folder and contains none; give the folder that contains"
    ):
        RecLmdb(root, "empty", "validation").train_records()
    with pytest.raises(
        DataError, match=r"none does not exist; give the folder that contains data\.mdb, or correct the root"
    ):
        RecLmdb(root, "none", "validation").train_records()
    with pytest.raises(DataError, match=r"data\.mdb is a file; give the folder"):
        RecLmdb(root, "validation/data.mdb", "validation").train_records()
    (root / "empty" / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match=r"empty.*data\.mdb.* not an LMDB database .*copy it again"):
        RecLmdb(root, "empty", "validation").train_records()


def test_the_package_is_not_needed(root, monkeypatch):
    """It is for those who write databases."""
    monkeypatch.setitem(sys.modules, "lmdb", None)
    assert len(RecLmdb(root, "training", "validation").train_records()) == 4


def test_images_that_cannot_be_read_have_their_reason(root):
    folder = make(root / "x", ["a", "b", "c"], [b"", b"no image", png(3)])
    for number, reason in {1: "empty", 2: "cannot be decoded", 4: "missing"}.items():
        with pytest.raises(UnusableSample, match=reason):
            read_image(folder / f"image-{number:09d}")


def test_an_ordinary_file_of_such_a_name_is_read_as_one(tmp_path):
    (tmp_path / "image-000000001").write_bytes(png(9))
    assert read_image(tmp_path / "image-000000001")[0, 0].tolist() == [9, 9, 9]


def length(sample, rng):
    sample["length"] = len(sample["texts"][0])
    return sample


def test_forked_workers_read_what_the_parent_has_open(root):
    """A database must not be used across a fork; parent and workers read at the same time here."""
    source = RecLmdb(root, "training", "validation")
    found = []
    for workers in (0, 2):
        pipeline = TrainPipeline(source.train_records(), [length], 0)
        loader = build_train_loader(
            pipeline,
            collate=find_task("rec").collate_train,
            several_sizes=True,
            ratios=None,
            seed=0,
            rank=0,
            world_size=1,
            **NODE | {"num_workers": workers},
        )
        for epoch in (0, 1):
            for batch in loader.epoch(epoch):
                read_image(source.val_records()[0].image_path)
                assert not loader.rejected
                found.append({name: value.copy() for name, value in batch.items()})
        loader.close()
    inline, forked = found[:4], found[4:]
    for a, b in zip(inline, forked, strict=True):
        assert all(np.array_equal(a[name], b[name]) for name in a)
    evaluation = build_eval_loader(
        EvalPipeline(source.val_records(), []),
        collate=find_task("rec").collate_eval,
        rank=0,
        world_size=1,
        **NODE | {"num_workers": 1},
    )
    ((batch,),) = evaluation.epoch(0)
    assert batch["references"] == [RecReference("Five"), RecReference("six")]
    evaluation.close()


def test_a_child_leaves_the_parents_database_open(root):
    records = RecLmdb(root, "training", "validation").train_records()
    read_image(records[0].image_path)
    pid = os.fork()
    if pid == 0:
        os._exit(int(read_image(records[1].image_path)[0, 0, 0]))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert read_image(records[2].image_path)[0, 0, 0] == 3
