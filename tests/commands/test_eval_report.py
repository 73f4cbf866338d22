"""`eval` keeps the reports of other evaluations, and says what it evaluated."""

import importlib
import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from ocrexp.commands.eval import pictures_of, put_report
from ocrexp.engine.status import RUNNING, write_status
from ocrexp.errors import ConfigError
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
    assert put_report(path, report(seconds=9.0)) == path
    assert put_report(path, report()) == path  # the same again
    assert json.loads(path.read_text())["seconds"] == 1.0
    others = ({"data": {"val": "2"}}, {"checkpoint": "b.pdparams"}, {"metrics": {"hmean": 0.5}})
    for number, changed in enumerate(others, start=2):
        assert put_report(path, report(**changed)).name == f"eval_{number}.json"
    (tmp_path / "eval_2.json").write_text("cut sho")
    assert put_report(path, report(images=2)).name == "eval_5.json"
    assert (tmp_path / "eval_2.json").read_text() == "cut sho"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["eval.json", *(f"eval_{n}.json" for n in range(2, 6))]


EVALUATION = """
import sys
from pathlib import Path
from ocrexp.commands.eval import pictures_of, put_report
print("ready", flush=True)
input()
print(put_report(Path("eval.json"), {"checkpoint": sys.argv[1]} | dict.fromkeys(sys.argv[2:])).name)
"""


def test_evaluations_that_end_at_once_write_a_file_each(tmp_path):
    same = ("data", "overrides", "postprocess", "metrics", "images")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", EVALUATION, str(number), *same],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    names = [process.communicate()[0].strip() for process in processes]
    assert sorted(names) == ["eval.json", "eval_2.json", "eval_3.json", "eval_4.json"]
    for number, name in enumerate(names):
        assert json.loads((tmp_path / name).read_text())["checkpoint"] == str(number)


@pytest.mark.parametrize("verb", ["eval", "export"])
def test_the_state_of_a_killed_run_is_reported(verb, tmp_path, capsys):
    write_status(tmp_path, state=RUNNING, step=12, total_steps=40)
    importlib.import_module(f"ocrexp.commands.{verb}").report_unfinished(OmegaConf.create({"run_dir": str(tmp_path)}))
    said = capsys.readouterr().err
    assert "interrupted (killed) at step 12 of 40" in said
    assert f"python -m ocrexp resume run_dir={tmp_path}" in said


def test_the_data_is_named_by_its_folder_and_lists():
    assert data_name(OmegaConf.create({"root": "d", "val_labels": ["a", "b"]})) == "d (a, b)"
    assert data_name(OmegaConf.create({"root": "d", "val": "v"})) == "d (v)"
    assert data_name(OmegaConf.create({"root": "d", "train_labels": "a", "val_split": 0.1})) == "d (a, val_split=0.1)"
    assert data_name(OmegaConf.create({"root": ".", "val_labels": "photos/a.txt"})) == "photos/a.txt"
    assert data_name(OmegaConf.create({"_target_": "ocrexp.data.synth.dataset.SynthDet"})) == "synth_det"


def test_the_number_of_pictures():
    asked = [pictures_of(OmegaConf.create({"pictures": value})) for value in (0, 12, False, None)]
    assert asked == [0, 12, 0, 0]
    for value in ("no", True, -1, 1.5):
        with pytest.raises(ConfigError, match="pictures: expected a whole number"):
            pictures_of(OmegaConf.create({"pictures": value}))
