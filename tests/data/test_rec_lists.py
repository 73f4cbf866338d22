"""Recognition lists as a data source, through the loaders to batches."""

import cv2
import numpy as np
import pytest

from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.loaders import build_eval_loader, build_train_loader
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.errors import DataError
from ocrexp.results import RecReference
from ocrexp.tasks.find import find_task

REC = find_task("rec")
TRAIN = {"collate": REC.collate_train, "several_sizes": True, "seed": 0, "rank": 0, "world_size": 1}
NODE = {"batch_size": 2, "eval_batch_size": 4, "num_workers": 0, "prefetch": 2, "shuffle": False, "drop_last": False}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    for i, name in enumerate("abcd"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.full((8, 16, 3), i, np.uint8))
    write(tmp_path / "train.txt", "images/a.png\tone", "images/b.png\ttwo words")
    write(tmp_path / "more.txt", '["images/c.png", "images/a.png"]\tthree')
    write(tmp_path / "val.txt", "images/d.png\t four")
    return tmp_path


def write(path, *lines, end="\n"):
    path.write_bytes(end.join(lines).encode())


def test_records(root):
    source = RecLists(root, ["train.txt", "more.txt"], "val.txt", ratios=[1, 0.5])
    records = source.train_records()
    assert [(r.image_path.name, r.texts, r.list_index) for r in records] == [
        ("a.png", ("one",), 0),
        ("b.png", ("two words",), 0),
        ("c.png", ("three",), 1),
        ("a.png", ("three",), 1),
    ]
    assert records[3].source == f"{root / 'more.txt'}:1"
    assert source.val_records()[0].texts == (" four",)
    assert source.report() == [
        f"val: 1 label(s) begin or end with a space (U+0020), the first at {root / 'val.txt'}:1; it is invisible in "
        "images, remove it from the labels"
    ]
    assert source.fingerprint()["train_images"] == "4"
    with pytest.raises(ValueError, match=r"ratios: .* 2 .*got 1"):
        RecLists(root, ["train.txt", "more.txt"], "val.txt", ratios=[1])


def test_what_is_left_out_is_counted(root):
    write(root / "train.txt", "images/a.png\tone", "images/b.png\t", "gone.png\tx", end="\r\n")
    write(root / "val.txt", "images/d.png\tfour", "gone.png\tx", "images/c.png\t")
    source = RecLists(root, "train.txt", "val.txt")
    assert [record.texts[0] for record in source.train_records()] == ["one"]
    assert [record.texts[0] for record in source.val_records()] == ["four", "x"]
    assert source.report() == [
        f"train: 1 bad label line(s) skipped: {root / 'train.txt'}:2: the label of 'images/b.png' is empty; write the "
        "text after the tab, or remove the line",
        f"train: 1 missing image(s) skipped: {root / 'gone.png'} ({root / 'train.txt'}:3)",
        f"val: 1 bad label line(s) skipped: {root / 'val.txt'}:3: the label of 'images/c.png' is empty; write the "
        "text after the tab, or remove the line",
        "val: 1 missing image(s) counted as images in which nothing was read: "
        f"{root / 'gone.png'} ({root / 'val.txt'}:2)",
    ]


def test_a_list_whose_images_are_all_missing(root):
    write(root / "train.txt", "pictures/x.png\tone", "pictures/y.png\ttwo")
    with pytest.raises(
        DataError,
        match=r"none of the images of .*train\.txt exists, the first tried was .*x\.png; set root to the",
    ):
        RecLists(root, "train.txt", "val.txt").train_records()


def labelled(sample, rng):
    """Stands for the last two steps: the resize with padding, and what the loss needs."""
    image = np.zeros((8, 32, 3), np.uint8)
    image[:, : sample["image"].shape[1]] = sample["image"]
    sample |= {"valid_width": sample["image"].shape[1], "valid_ratio": sample["image"].shape[1] / 32, "image": image}
    sample["label_ctc"] = np.zeros(5, np.int64)
    sample["label_sar"] = np.ones(7, np.int64)
    sample["length"] = len(sample["texts"][0])
    return sample


@pytest.mark.parametrize("workers", [0, 1])
def test_batches(root, workers):
    source = RecLists(root, "train.txt", "val.txt")
    node = NODE | {"num_workers": workers}
    pipeline = TrainPipeline(source.train_records(), [labelled], 0)
    loader = build_train_loader(pipeline, **TRAIN, ratios=None, **node)
    (batch,) = loader.epoch(0)
    assert {name: (value.shape, value.dtype.name) for name, value in batch.items()} == {
        "image": ((2, 8, 32, 3), "uint8"),
        "label_ctc": ((2, 5), "int64"),
        "label_sar": ((2, 7), "int64"),
        "valid_width": ((2,), "int64"),
        "valid_ratio": ((2,), "float32"),
        "length": ((2,), "int64"),
        "index": ((2,), "int64"),
    }
    assert batch["length"].tolist() == [3, 9]
    assert batch["valid_width"].tolist() == [16, 16]
    loader.close()


def test_evaluation_keeps_the_raw_text_and_what_cannot_be_read(root):
    write(root / "val.txt", "images/d.png\t Four ", "gone.png\tx", "images/a.png\ty")
    (root / "images" / "a.png").write_bytes(b"")
    pipeline = EvalPipeline(RecLists(root, "train.txt", "val.txt").val_records(), [])
    loader = build_eval_loader(pipeline, collate=REC.collate_eval, rank=0, world_size=1, **NODE)
    ((good, bad),) = loader.epoch(0)
    assert good["references"] == [RecReference(" Four ")]
    assert good["image"].shape == (1, 8, 16, 3)
    assert good["valid_width"].tolist() == [16]  # no transform said otherwise
    assert bad["image"] is None
    assert bad["references"] == [RecReference("x"), RecReference("y")]
    assert bad["reasons"] == ["image file is missing", "image file is empty (0 bytes)"]
    assert bad["paths"][1].endswith("a.png")


def test_an_empty_file_and_a_sliver_are_counted_in_training(root):
    (root / "images" / "a.png").write_bytes(b"")
    cv2.imwrite(str(root / "images" / "b.png"), np.zeros((20, 3, 3), np.uint8))
    write(root / "train.txt", "images/a.png\tone", "images/b.png\ttwo", "images/c.png\tthree", end="\r\n")
    pipeline = TrainPipeline(RecLists(root, "train.txt", "val.txt").train_records(), [RecResize([8, 32])], 0)
    loader = build_train_loader(pipeline, **TRAIN, ratios=None, **NODE | {"batch_size": 3})
    (batch,) = loader.epoch(0)
    assert batch["index"].tolist() == [2]
    assert loader.rejection_lines() == [
        f"1 image not used: image file is empty (0 bytes): {root / 'images' / 'a.png'} ({root / 'train.txt'}:1)",
        "1 image not used: an image side below 4 pixels (min_side): "
        f"{root / 'images' / 'b.png'} ({root / 'train.txt'}:2)",
    ]


@pytest.mark.parametrize("min_side", [1, 4])
def test_a_sliver_in_evaluation_is_read_or_counts_as_nothing_read(root, min_side):
    cv2.imwrite(str(root / "images" / "d.png"), np.zeros((20, 3, 3), np.uint8))
    pipeline = EvalPipeline(
        RecLists(root, "train.txt", "val.txt").val_records(), [RecResize([8, 32], min_side=min_side)]
    )
    ((batch,),) = build_eval_loader(pipeline, collate=REC.collate_eval, rank=0, world_size=1, **NODE).epoch(0)
    assert batch["references"] == [RecReference(" four")]
    if min_side == 1:
        assert batch["image"].shape == (1, 8, 32, 3)
        assert batch["valid_width"].tolist() == [2]
    else:
        assert batch["image"] is None
        assert batch["reasons"] == ["an image side below 4 pixels (min_side)"]


def test_images_of_different_size_in_a_batch_are_explained(root):
    cv2.imwrite(str(root / "images" / "b.png"), np.zeros((8, 9, 3), np.uint8))
    pipeline = TrainPipeline(RecLists(root, "train.txt", "val.txt").train_records(), [], 0)
    loader = build_train_loader(pipeline, **TRAIN, ratios=None, **NODE)
    with pytest.raises(DataError, match=r"8x16 and 8x9|8x9 and 8x16.*end augment with resize"):
        list(loader.epoch(0))
