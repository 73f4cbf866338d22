"""Predictions are corrected in PPOCRLabel and Label Studio, and the correction is read back.

The programs themselves: scripts/ppocrlabel_check.py. Here, PPOCRLabel's way to read and write its files stands for it.
"""

import json
import os

import cv2
import numpy as np
import pytest
from ppocrlabel_files import confirmed, opened

from ocrexp.__main__ import main
from ocrexp.data.lists import DetLists
from ocrexp.deploy.correction import Corrections, CorrectionSettings, check_corrections
from ocrexp.deploy.outputs import ImageResult, PredictionFolder, Reading
from ocrexp.deploy.sources import Source
from ocrexp.deploy.uncertainty import FoundRegion
from ocrexp.errors import ConfigError

BOX = np.array([[2, 2], [28.5, 2], [28.5, 12], [2, 12]], np.float32)
TEXTS = {"a b#1.png": ("nullable\tfalse \\", 0.9), "b.png": ("12", 0.2), "c.png": ("", 0.0), "none.png": None}


def settings(**given):
    keys = {"correct": None, "correct_copies": False, "correct_address": "/data/local-files/?d=", "sort": None}
    return CorrectionSettings(**{**keys, "limit": None, **given})


def predicted(tmp_path, **given):
    """The output folder of a run over four images."""
    sources, results = [], []
    for name, read in TEXTS.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".png", np.zeros((20, 40, 3), np.uint8))[1].tobytes())
        sources.append(Source(path))
        chars = (read[1],) * len(read[0]) if read else ()
        regions = [FoundRegion(BOX, read[0], read[1], chars, 0.9, drop_score=0.1)] if read else []
        results.append(ImageResult(sources[-1], (40, 20), Reading([], [], [], regions=regions)))
    folder = PredictionFolder(tmp_path / "out", sources, rec_only=False)
    corrections = Corrections(folder, settings(**given))
    for result in [*results, ImageResult(Source(tmp_path / "broken.png"), error="cannot be decoded")]:
        corrections.add(result)
    names = corrections.write()
    folder.close()
    return tmp_path / "out", names, corrections


def records(root, out, capsys):
    assert main(["convert", f"root={root}", f"out={out}"]) == 0
    (listed,) = out.glob("*.txt")
    return DetLists(out, str(listed), str(listed)).train_records(), capsys.readouterr().err


def test_the_least_certain_images_come_first_with_reasons(tmp_path):
    out, names, corrections = predicted(tmp_path, sort="uncertain", limit=3)
    assert names == ["uncertain.jsonl"]
    rows = [json.loads(line) for line in (out / "uncertain.jsonl").read_text("utf-8").splitlines()]
    assert [(row["path"].rpartition("/")[2], row["regions"]) for row in rows] == [
        ("c.png", 1), ("none.png", 0), ("b.png", 1),
    ]  # fmt: skip
    assert rows[2]["wrong_regions_expected"] == pytest.approx(0.96)
    reason = {"region": 0, "wrong": 0.96, "text": "12", "points": [[2, 2], [28.5, 2], [28.5, 12], [2, 12]]}
    assert rows[2]["reasons"] == [reason | {"reason": "text score 0.20; character 1 ('1') has probability 0.20"}]
    assert "c.png: 1.0 wrong regions expected: region 0 '': no character was read" in corrections.least_certain()


def test_ppocrlabel_opens_the_folder_and_its_correction_is_read_back(tmp_path, capsys):
    out, _, corrections = predicted(tmp_path, correct="ppocrlabel", sort="uncertain")
    folder = out / "ppocrlabel"
    images = ["1_c.png", "2_none.png", "3_b.png", "4_a b#1.png"]
    assert sorted(path.name for path in folder.glob("*.png")) == images
    assert (folder / "Label.txt").read_text() == (folder / "fileState.txt").read_text() == ""
    labels = opened(folder / "Cache.cach")
    assert list(labels) == [f"ppocrlabel/{name}" for name in images]
    assert [[region["transcription"] for region in label] for label in labels.values()] == [
        ["TEMPORARY"], [], ["12"], [TEXTS["a b#1.png"][0]],
    ]  # fmt: skip
    assert [kind.count for kind in corrections.account.changed.values()] == [1]
    labels["ppocrlabel/3_b.png"][0]["transcription"] = "72"
    del labels["ppocrlabel/1_c.png"]
    confirmed(folder, labels)
    found, said = records(folder, tmp_path / "list", capsys)
    assert {record.image_path.name: record.texts for record in found} == {
        "2_none.png": (), "3_b.png": ("72",), "4_a b#1.png": (TEXTS["a b#1.png"][0],),
    }  # fmt: skip
    np.testing.assert_array_equal(found[1].polygons[0], BOX)
    assert "dropped: 1 × image with a model's labels that nobody has confirmed" in said
    with pytest.raises(ConfigError, match="contains corrections"):
        check_corrections(out)


def test_label_studio_imports_the_tasks_and_its_export_is_read_back(tmp_path, capsys):
    out, _, _ = predicted(tmp_path, correct=["label_studio"], correct_address="/data/local-files/?d=jobs/1/")
    tasks = json.loads((out / "label_studio/tasks.json").read_text("utf-8"))
    assert tasks[0]["data"]["ocr"] == "/data/local-files/?d=jobs/1/images/a%20b%231.png"
    assert tasks[1]["data"]["reasons"] == "region 0 '12': text score 0.20; character 1 ('1') has probability 0.20"
    assert [task["predictions"][0].get("score") for task in tasks] == [0.9, 0.2, 0.0, None]
    for task in tasks[1:]:  # as an annotator submits them; the first one is not done
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    tasks[1]["annotations"][0]["result"][2]["value"]["text"] = ["72"]
    (out / "label_studio/export.json").write_text(json.dumps(tasks), encoding="utf-8")
    (out / "label_studio/tasks.json").unlink()
    found, said = records(out / "label_studio", tmp_path / "list", capsys)
    assert {record.image_path.name: record.texts for record in found} == {
        "b.png": ("72",), "c.png": ("text",), "none.png": (),
    }  # fmt: skip
    np.testing.assert_allclose(found[0].polygons[0], BOX, atol=1e-3)
    assert "dropped: 1 × task without annotations" in said


def test_a_name_that_is_not_utf8(tmp_path, monkeypatch):
    monkeypatch.setitem(TEXTS, os.fsdecode(b"\xff.png"), ("1", 0.01))
    out, _, _ = predicted(tmp_path, correct=["ppocrlabel", "label_studio"], sort="uncertain", limit=3)
    name = list(opened(out / "ppocrlabel/Cache.cach"))[2].rpartition("/")[2]
    assert name == "3_\ufffd.png" and (out / "ppocrlabel" / name).exists()
    assert "\ufffd.png" in (out / "uncertain.jsonl").read_text("utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"correct": "ppocr"}, "did you mean ppocrlabel"),
        ({"sort": "certain"}, "sort: expected null or uncertain, got 'certain'"),
        ({"sort": "uncertain", "limit": 0}, "limit: expected a number of 1 or more, or null, got 0"),
        ({"limit": 5}, "limit: .* got 5; it is for sort=uncertain and correct="),
    ],
)
def test_keys_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        settings(**given).check(folder=True, pages=True)


def test_lines_have_no_folder_to_correct_and_standard_output_has_no_files():
    with pytest.raises(ConfigError, match="add det=DIR"):
        settings(correct="ppocrlabel").check(folder=True, pages=False)
    with pytest.raises(ConfigError, match="set output=DIR"):
        settings(sort="uncertain").check(folder=False, pages=True)
