"""Label lists as a data source: what is left out, what is refused, and how it is said."""

import json

import cv2
import numpy as np
import pytest

from ocrexp.data.lists import DetLists
from ocrexp.data.source import validation_fingerprint, validation_report
from ocrexp.errors import DataError

LABEL = json.dumps([{"transcription": "word", "points": [[1, 1], [9, 1], [9, 5], [1, 5]]}])


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    for name in "abcd":
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.zeros((10, 10, 3), np.uint8))
    write(tmp_path / "train.txt", "a", "b")
    write(tmp_path / "more.txt", "c")
    write(tmp_path / "val.txt", "d")
    return tmp_path


def write(path, *names, extra=()):
    path.write_text("\n".join([*(f"images/{name}.png\t{LABEL}" for name in names), *extra]))


def test_records_carry_path_line_and_list(root):
    source = DetLists(root, ["train.txt", "more.txt"], "val.txt", ratios=[1, 0.5])
    records = source.train_records()
    assert [record.image_path.name for record in records] == ["a.png", "b.png", "c.png"]
    assert [record.list_index for record in records] == [0, 0, 1]
    assert records[1].source == f"{root / 'train.txt'}:2"
    assert [record.image_path.name for record in source.val_records()] == ["d.png"]
    assert source.report() == []
    assert source.ratios == [1, 0.5]


def test_fingerprint_changes_with_the_bytes(root):
    before = DetLists(root, "train.txt", "val.txt").fingerprint()
    assert before["train_images"] == "2"
    write(root / "train.txt", "a", "c")
    after = DetLists(root, "train.txt", "val.txt").fingerprint()
    assert before["train_sha256"] != after["train_sha256"]
    assert before["val_sha256"] == after["val_sha256"]


def test_an_evaluation_does_not_read_the_training_lists(root):
    both = DetLists(root, "train.txt", "val.txt").fingerprint()
    source = DetLists(root, ["gone.txt", "more.txt"], "val.txt")
    assert validation_fingerprint(source) == {key: value for key, value in both.items() if key.startswith("val_")}
    with pytest.raises(DataError, match=r"gone\.txt"):
        source.fingerprint()


def test_bad_lines_and_missing_images_are_counted(root):
    write(root / "train.txt", "a", "gone", "b", extra=["images/c.png broken", "images/c.png\t[{", "x\t[{", "y\t[{"])
    write(root / "val.txt", "d", "gone")
    source = DetLists(root, "train.txt", "val.txt")
    assert [record.image_path.name for record in source.train_records()] == ["a.png", "b.png"]
    # Evaluation keeps what it cannot read: it counts as nothing predicted.
    assert [record.image_path.name for record in source.val_records()] == ["d.png", "gone.png"]
    bad, missing, missing_val = source.report()
    assert bad.startswith(f"train: 4 bad label line(s) skipped: {root / 'train.txt'}:4: no tab")
    assert bad.endswith("(and 1 more)")
    assert missing == (f"train: 1 missing image(s) skipped: {root / 'images' / 'gone.png'} ({root / 'train.txt'}:2)")
    assert missing_val.startswith("val: 1 missing image(s) counted as images in which nothing was found")
    assert len(source.problems()) == 4


def test_empty_and_all_bad_lists_are_refused(root):
    (root / "train.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"train\.txt is empty"):
        DetLists(root, "train.txt", "val.txt").train_records()
    (root / "train.txt").write_text("no tab\nnone either\n")
    with pytest.raises(DataError, match=r"all 2 lines of label file .*train\.txt:1: no tab"):
        DetLists(root, "train.txt", "val.txt").train_records()


def test_a_list_that_is_missing_is_refused(root):
    with pytest.raises(DataError, match=r"^train_labels: .*did you mean train_labels=train\.txt"):
        DetLists(root, "trian.txt", "val.txt").train_records()


def test_a_wrong_root_is_recognised(root):
    lists = root / "lists"
    lists.mkdir()
    write(lists / "train.txt", "a", "b")
    with pytest.raises(DataError, match=r"did you mean root=") as raised:
        DetLists(lists, "train.txt", "train.txt").train_records()
    assert f"the first tried was {lists / 'images' / 'a.png'}" in str(raised.value)
    assert f"root={root} " in str(raised.value)


def test_a_root_above_the_images_is_recognised(root):
    with pytest.raises(DataError, match=f"did you mean root={root} "):
        DetLists(root.parent, f"{root.name}/train.txt", f"{root.name}/val.txt").train_records()


def test_the_keys_for_another_root_can_be_typed_as_they_are(tmp_path):
    """PPOCRLabel keeps its Label.txt beside the images, with paths that start one folder higher."""
    photos = tmp_path / "my 照片" / "photos"
    photos.mkdir(parents=True)
    cv2.imwrite(str(photos / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    (photos / "Label.txt").write_text(f"photos/a.png\t{LABEL}\n")
    with pytest.raises(DataError) as raised:
        DetLists(photos, "Label.txt", val_split=0.5).train_records()
    assert f"root='{photos.parent}' train_labels=photos/Label.txt?" in str(raised.value)


def test_a_missing_list_is_answered_with_its_key_and_what_to_set(root):
    (root / "photos").mkdir()
    (root / "train.txt").rename(root / "photos" / "Label.txt")
    (root / "photos" / "fileState.txt").write_text("")
    (root / "photos" / "Label.cach").write_text("")
    for name in ("val.txt", "more.txt"):
        (root / name).unlink()
    with pytest.raises(DataError, match=r"^train_labels: .*; set train_labels=photos/Label\.txt$"):
        DetLists(root, "train_list.txt", "val_list.txt").train_records()
    with pytest.raises(DataError, match=r"^val_labels: .*; val_split=0\.1 keeps a tenth"):
        DetLists(root, "photos/Label.txt", "val_list.txt").val_records()
    (root / "ar_dict.txt").write_text("a")
    with pytest.raises(DataError, match=r"; val_split=0\.1 keeps a tenth .* or set .*=ar_dict\.txt$"):
        DetLists(root, "photos/Label.txt", "val_list.txt").val_records()
    (root / "ar_dict.txt").unlink()
    with pytest.raises(DataError, match=r"; val_labels=null val_split=0\.1 keeps"):
        DetLists(root, "photos/Label.txt", "other.csv").val_records()
    with pytest.raises(DataError, match=r"nor does its folder .*; set root"):
        DetLists(root / "none", "train.txt", "val.txt").train_records()
    (root / "photos" / "Label.txt").rename(root / "Label.csv")
    with pytest.raises(DataError, match=r"contains no list; set root or train_labels"):
        DetLists(root, "train_list.txt", "val_list.txt").train_records()


def test_wrong_folder_in_the_list(root):
    (root / "train.txt").write_text(f"pictures/a.png\t{LABEL}\n")
    with pytest.raises(DataError, match=r"images/a.png"):
        DetLists(root, "train.txt", "val.txt").train_records()
    (root / "train.txt").write_text(f"pictures/z.png\t{LABEL}\n")
    with pytest.raises(DataError, match=r"set root to the folder"):
        DetLists(root, "train.txt", "val.txt").train_records()


def test_windows_separators(root):
    (root / "train.txt").write_text(f"images\\a.png\t{LABEL}\r\n")
    assert DetLists(root, "train.txt", "val.txt").train_records()[0].image_path == root / "images" / "a.png"


def test_ratios_must_fit_the_lists(root):
    with pytest.raises(ValueError, match=r"ratios: .* 1 .*got 2"):
        DetLists(root, "train.txt", "val.txt", ratios=[1, 1])
    with pytest.raises(ValueError, match="expected at least one list each"):
        DetLists(root, [], "val.txt")


def test_lists_without_brackets_are_one_name_and_the_message_shows_the_brackets(root):
    with pytest.raises(DataError, match=r"does not exist; .*train_labels='?\[train\.txt,more\.txt\]"):
        DetLists(root, "train.txt,more.txt", "val.txt").train_records()


def test_names_that_no_file_can_have_are_missing_images(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    for name in ("x" * 300, "x" * 9000, "a/" * 3000, "/" + "x" * 300, "C:\\" + "y" * 300, "é" * 300):
        (tmp_path / "list.txt").write_text(f"{name}\t[]\n")
        with pytest.raises(DataError, match="none of the images of") as error:
            DetLists(tmp_path, "list.txt", "list.txt").train_records()
        assert "\n" not in str(error.value)
        (tmp_path / "list.txt").write_text(f"{name}\t[]\na.png\t[]\n")
        source = DetLists(tmp_path, "list.txt", "list.txt")
        assert len(source.train_records()) == 1
        assert all(len(line) < 1000 for line in source.report())


def test_an_evaluation_reports_its_own_list_alone(root):
    write(root / "val.txt", "d", "gone", extra=["broken"])
    source = DetLists(root, ["gone.txt"], "val.txt")
    bad, missing = validation_report(source)
    assert bad.startswith("val: 1 bad label line(s) skipped")
    assert missing.startswith("val: 1 missing image(s)")


def test_utf16_is_no_list_of_the_other_task(root):
    (root / "train.txt").write_bytes("images/a.png\t[]\nimages/b.png\t[]\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="iconv -f utf-16le"):
        DetLists(root, "train.txt", "val.txt").train_records()
