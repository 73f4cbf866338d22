"""What training and validation share: crops of one photograph, a split of the training list, LMDB entries."""

from pathlib import Path

import lmdb
import planted
import pytest
from planted import rec_plan

from ocrexp.data.checking.check import check_dataset
from ocrexp.data.checking.leakage import SourceNames
from ocrexp.data.lists import DetLists
from ocrexp.data.lmdb import RecLmdb
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.split import ValSplit
from ocrexp.errors import DataError


def crops(root):
    """Crops of six receipts; the last one is in training and validation."""
    lists = planted.Lists(root)
    for receipt in range(6):
        for number in range(4):
            name = f"crops/receipt{receipt}_{number:03d}.png"
            planted.write_png(
                lists.root / name, planted.draw(planted.WORDS[4 * receipt + number], 10 * receipt + number)
            )
            split = "val" if receipt == 5 and number > 1 else "train"
            lists.add(f"{split}_list.txt", f"{name}\t{planted.WORDS[4 * receipt + number]}")
    lists.write()


@pytest.mark.parametrize("pattern", [None, r"receipt\d+"])
def test_crops_of_a_photograph_on_both_sides(tmp_path, pattern):
    crops(tmp_path)
    findings = check_dataset(rec_plan(tmp_path, source=pattern))
    found = findings.problems.of("leak-source")
    assert [problem.place.line for problem in found] == [1, 2]
    assert "receipt5" in found[0].what and "train_list.txt:21" in found[0].what
    assert findings.problems.number("warning") == 2 and findings.problems.number("error") == 0


def test_numbered_names_are_not_photographs():
    assert not SourceNames(None, [f"word_{i}" for i in range(100)]).known
    assert not SourceNames(None, ["a", "b", "c"]).known
    known = SourceNames(None, [f"{page}_{i}" for page in range(10) for i in range(5)])
    assert known.known and known(Path("x/7_3.png")) == "7"


def test_a_validation_split_is_checked_too(tmp_path):
    crops(tmp_path)
    (tmp_path / "train_list.txt").write_text(
        (tmp_path / "train_list.txt").read_text() + (tmp_path / "val_list.txt").read_text()
    )
    plan = rec_plan(tmp_path, val_split=ValSplit(0.25), source=r"receipt\d+")
    plan.lists = {"train": ["train_list.txt"]}
    findings = check_dataset(plan)
    assert findings.problems.total("leak-source") > 0 and "6 for validation" in findings.facts["val_split"]
    plan.val_split = ValSplit(0.25, r"receipt\d+")
    assert check_dataset(plan).problems.total("leak-source") == 0


def test_the_fingerprint_is_that_of_training(tmp_path):
    lists = planted.clean_rec(tmp_path)
    lists.add("train_list.txt", "gone.png\tgone")
    lists.write()
    findings = check_dataset(rec_plan(tmp_path, images=False))
    assert findings.fingerprint == RecLists(tmp_path, "train_list.txt", "val_list.txt").fingerprint()
    assert findings.images.looked == 0 and "images=false" in findings.not_looked[0]


def test_records_of_another_source_are_checked(tmp_path):
    class OtherFormat(RecLists):
        """A source that reads in its own way."""

    lists = planted.clean_rec(tmp_path)
    lists.add("train_list.txt", "train/gone.png\tgone")
    lists.add("train_list.txt", "train/Lemon.png\tLemon ")
    lists.add("val_list.txt", "train/sugar.png\tsugar")
    lists.write()
    source = OtherFormat(tmp_path, "train_list.txt", "val_list.txt")
    findings = check_dataset(rec_plan(tmp_path, source_data=source))
    found = {(problem.kind.name, problem.place.line) for problem in findings.problems}
    assert found >= {("text-spaces", 26), ("label-conflict", 26), ("leak-image", 7), ("source-skipped", 0)}
    assert findings.fingerprint["train_sha256"] == source.fingerprint()["train_sha256"]


def test_regions_of_another_source_are_checked(tmp_path):
    planted.faulty_det(tmp_path).write()
    plain = check_dataset(planted.det_plan(tmp_path))
    source = DetLists(tmp_path, "train_list.txt", "val_list.txt")
    findings = check_dataset(planted.det_plan(tmp_path, source_data=source))
    for kind in ("polygon-crossing", "polygon-outside", "polygon-duplicate", "polygon-unrotated", "image-no-regions"):
        assert findings.problems.total(kind) == plain.problems.total(kind) == 1


def test_lmdb_entries_are_checked_like_lines(tmp_path):
    texts = {"train": ["one", "two ", "", "one"], "val": ["three", "one"]}
    for split, some in texts.items():
        with lmdb.open(str(tmp_path / split), map_size=1 << 22) as env, env.begin(write=True) as batch:
            for number, text in enumerate(some, start=1):
                picture = planted.jpeg_of(planted.draw(text or "x", sum(map(ord, text))))
                batch.put(b"image-%09d" % number, picture)
                batch.put(b"label-%09d" % number, text.encode())
            batch.put(b"num-samples", str(len(some)).encode())
    plan = rec_plan(tmp_path, lmdb=True)
    plan.lists = {"train": ["train"], "val": ["val"]}
    findings = check_dataset(plan)
    found = {(problem.kind.name, Path(problem.place.file).name, problem.place.line) for problem in findings.problems}
    assert found >= {("text-spaces", "train", 2), ("lmdb-entry", "train", 3), ("image-duplicate", "train", 4)}
    assert ("leak-content", "val", 2) in found
    assert findings.fingerprint["train_sha256"] == RecLmdb(tmp_path, "train", "val").fingerprint()["train_sha256"]
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/data.mdb").write_bytes((tmp_path / "train/data.mdb").read_bytes()[:9000])
    plan.lists = {"train": ["cut"]}
    with pytest.raises(DataError, match="truncated"):
        check_dataset(plan)
