"""Predictions are written so that PPOCRLabel and the trainer read them again."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists
from ocrexp.deploy import outputs
from ocrexp.deploy.outputs import ImageResult, PredictionFolder, Reading, label_root
from ocrexp.deploy.sources import Source
from ocrexp.errors import ConfigError

BOX = np.array([[1, 2], [21, 2], [21, 12.25], [1, 12]], np.float32)
TEXT = 'Ä "quoted" \\ 中文\tمرحبا'


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / "scans" / name for name in ("a.png", "b.png")]
    paths[0].parent.mkdir()
    for path in paths:
        cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    return [Source(path) for path in paths]


def written(folder, outcomes):
    for outcome in outcomes:
        folder.write(outcome)
    folder.close()
    return [json.loads(line) for line in (folder.folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_detection_labels_are_read_again_as_they_were_predicted(images, tmp_path):
    folder = PredictionFolder(tmp_path / "out", images, rec_only=False)
    readings = [Reading([BOX, BOX + 1], [TEXT, "7"], [0.9, 0.8], {"det": 0.1, "rec": 0.2}), Reading([], [], [])]
    rows = written(folder, [ImageResult(s, (30, 20), r) for s, r in zip(images, readings, strict=True)])
    assert rows[0]["texts"] == [TEXT, "7"]
    assert rows[0]["size"] == [30, 20]
    assert rows[0]["seconds"] == 0.3
    assert rows[1]["boxes"] == []
    labels = tmp_path / "out" / "labels.txt"
    assert labels.read_text("utf-8").startswith('scans/a.png\t[{"transcription": "Ä ')
    records = DetLists(folder.root, str(labels), str(labels)).val_records()
    assert [record.image_path for record in records] == [source.path for source in images]
    assert records[0].texts == (TEXT, "7")
    np.testing.assert_allclose(records[0].polygons[0], BOX, atol=0.05)
    assert records[1].polygons == ()


def test_line_labels_are_read_again_and_empty_ones_are_left_out(images, tmp_path):
    folder = PredictionFolder(tmp_path / "out", images, rec_only=True)
    rows = written(
        folder,
        [
            ImageResult(images[0], (30, 20), Reading(None, ["a b"], [0.9])),
            ImageResult(images[1], (30, 20), Reading(None, [""], [0.0])),
        ],
    )
    assert "boxes" not in rows[0]
    assert rows[1]["texts"] == [""]
    labels = str(tmp_path / "out" / "labels.txt")
    (record,) = RecLists(folder.root, labels, labels).val_records()
    assert record.texts == ("a b",)
    assert "b.png" in folder.unlabeled[0]


def test_an_unreadable_image_keeps_its_line_and_has_no_label(images, tmp_path):
    folder = PredictionFolder(tmp_path / "out", images, rec_only=False)
    rows = written(
        folder, [ImageResult(images[0], error="is damaged"), ImageResult(images[1], (30, 20), Reading([], None, []))]
    )
    assert rows[0] == {"path": images[0].name, "error": "is damaged"}
    assert "texts" not in rows[1]
    assert (tmp_path / "out" / "labels.txt").read_text() == "scans/b.png\t[]\n"


def test_a_page_becomes_an_image_that_its_label_names(tmp_path):
    pages = [Source(tmp_path / "in" / "book.pdf", number) for number in (1, 2)]
    folder = PredictionFolder(tmp_path / "out", pages, rec_only=False)
    for page in pages:
        folder.save_page(page, np.zeros((20, 30, 3), np.uint8))
    written(folder, [ImageResult(page, (30, 20), Reading([BOX], ["x"], [0.9])) for page in pages])
    labels = str(tmp_path / "out" / "labels.txt")
    records = DetLists(folder.root, labels, labels).val_records()
    assert [record.image_path.name for record in records] == ["book_0001.png", "book_0002.png"]
    assert all(record.image_path.is_file() for record in records)


def test_images_of_one_name_have_pictures_of_their_own(tmp_path):
    sources = [Source(tmp_path / place / name) for place, name in (("a", "x.png"), ("b", "x.png"), ("b", "X.jpg"))]
    folder = PredictionFolder(tmp_path / "out", sources, rec_only=False)
    assert len({folder.picture_path(source).lower() for source in sources}) == 3
    assert folder.root == tmp_path


def test_labels_of_one_folder_name_it_as_ppocrlabel_does():
    assert label_root([Path("/data/scans/a.png"), Path("/data/scans/b.png")]) == Path("/data")
    assert label_root([Path("/data/scans/a.png"), Path("/data/more/b.png")]) == Path("/data")


def test_a_name_that_a_label_list_cannot_hold_is_left_out_and_said(tmp_path):
    sources = [Source(tmp_path / "a\tb.png")]
    folder = PredictionFolder(tmp_path / "out", sources, rec_only=False)
    written(folder, [ImageResult(sources[0], (30, 20), Reading([], [], []))])
    assert (tmp_path / "out" / "labels.txt").read_text() == ""
    assert "a label list cannot contain its name" in folder.unlabeled[0]


def test_an_existing_folder_is_replaced_only_when_asked_and_only_what_is_ours(images, tmp_path):
    out = tmp_path / "out"
    first = PredictionFolder(out, images, rec_only=False)
    (out / first.picture_path(images[0])).write_bytes(b"old")
    first.close()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="overwrite=true"):
        PredictionFolder(out, images, rec_only=False)
    PredictionFolder(out, images, rec_only=False, overwrite=True).close()
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "pictures" / "a.jpg").exists()


def test_images_inside_what_would_be_replaced_are_safe(images, tmp_path):
    out = tmp_path / "out"
    (out / "pictures").mkdir(parents=True)
    inside = Source(out / "pictures" / "scan.png")
    inside.path.write_bytes(b"image")
    with pytest.raises(ConfigError, match="would be overwritten"):
        PredictionFolder(out, [inside], rec_only=False, overwrite=True)
    assert inside.path.read_bytes() == b"image"


def test_an_output_that_cannot_be_written(images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        PredictionFolder(tmp_path / "file", images, rec_only=False)
    with pytest.raises(ConfigError, match="cannot be written"):
        PredictionFolder(tmp_path / "file" / "below", images, rec_only=False)


def test_of_two_commands_with_one_output_the_second_is_refused(images, tmp_path, monkeypatch):
    """Also where both looked at the folder before either wrote into it."""
    first = PredictionFolder(tmp_path / "out", images, rec_only=False)
    monkeypatch.setattr(outputs, "is_taken", lambda folder, overwrite: False)
    with pytest.raises(ConfigError, match=f"output={tmp_path / 'out'}: .*another folder"):
        PredictionFolder(tmp_path / "out", images, rec_only=False)
    first.close()
