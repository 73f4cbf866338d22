"""`eval` keeps the reports of other evaluations, and says what it evaluated."""

import json

from omegaconf import OmegaConf

from ocrexp.commands.eval import free_report
from ocrexp.report.title import data_name


def report(**changed):
    same = {
        "checkpoint": "a.pdparams",
        "data": {"val": "1"},
        "overrides": [],
        "postprocess": {},
        "metrics": {"hmean": 1},
    }
    return {**same, "images": 3, "seconds": 1.0, **changed}


def test_another_evaluation_gets_a_file_of_its_own(tmp_path):
    path = tmp_path / "eval.json"
    assert free_report(path, report()) == path
    path.write_text(json.dumps(report(seconds=9.0)))
    assert free_report(path, report()) == path  # the same again
    for changed in ({"data": {"val": "2"}}, {"checkpoint": "b.pdparams"}, {"metrics": {"hmean": 0.5}}):
        assert free_report(path, report(**changed)).name == "eval_2.json"
    (tmp_path / "eval_2.json").write_text("cut sho")
    assert free_report(path, report(images=2)).name == "eval_3.json"


def test_the_data_is_named_by_its_folder_and_lists():
    assert data_name(OmegaConf.create({"root": "d", "val_labels": ["a", "b"]})) == "d (a, b)"
    assert data_name(OmegaConf.create({"root": "d", "val": "v"})) == "d (v)"
    assert data_name(OmegaConf.create({"_target_": "ocrexp.data.synth.dataset.SynthDet"})) == "SynthDet"
