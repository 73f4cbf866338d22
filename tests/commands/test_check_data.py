"""The verb `check-data`: its configuration, exit codes and files."""

import json

import planted
import pytest

from ocrexp.__main__ import main
from ocrexp.commands.check_data import compose_for
from ocrexp.data.checking.recognize import task_of_data

PLAIN = ["page=false", "targets.ctc_steps=null", "workers=1"]


def test_lists_to_fix_in_a_folder_that_cannot_be_written_are_known_before_the_check(tmp_path, monkeypatch, capsys):
    (tmp_path / "train_list.txt").write_text("a.png\tword \n")
    monkeypatch.setattr("ocrexp.config.places.writable", lambda folder: False)
    monkeypatch.setattr("ocrexp.data.checking.check.check_dataset", None)
    assert main(["check-data", "task=rec", f"dataset.root={tmp_path}", "fix=true", *PLAIN]) == 2
    assert f"fix: corrected lists are written beside the originals, and {tmp_path} cannot" in capsys.readouterr().err


def test_a_clean_set_ends_with_0_and_a_fault_with_1(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lists = planted.clean_rec(tmp_path / "data")
    lists.write()
    space = "charset.use_space_char=true"
    assert main(["check-data", "dataset.root=data", "task=rec", space, *PLAIN]) == 0
    assert "rec data in data: 0 errors, 0 warnings" in capsys.readouterr().out
    lists.add("train_list.txt", "train/gone.png\tgone")
    lists.write()
    assert main(["check-data", "dataset.root=data", space, "output=checked", *PLAIN]) == 1
    out = capsys.readouterr().out
    assert "train_list.txt:25: image train/gone.png does not exist" in out
    report = json.loads((tmp_path / "checked/check_data.json").read_text())
    (problem,) = (each for each in report["problems"] if each["severity"] == "error")
    assert (problem["kind"], problem["line"], report["fingerprint"]["train_images"]) == ("image-missing", 25, "24")


def test_lists_of_the_other_task_are_refused(tmp_path, capsys):
    planted.clean_det(tmp_path / "det").write()
    planted.clean_rec(tmp_path / "rec").write()
    for task, other, what in (("rec", "det", "a detection list"), ("det", "rec", "a recognition list")):
        output = f"output={tmp_path / 'out'}"
        assert main(["check-data", f"task={task}", f"dataset.root={tmp_path / other}", output]) == 2
        assert f"train_list.txt: this is {what}" in capsys.readouterr().err


def test_the_page_is_one_file_and_corrected_lists_are_beside_the_originals(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    planted.faulty_det(tmp_path / "data").write()
    arguments = ["dataset=det_list", "dataset.root=data", "output=checked", "fix=true", "workers=1", "pictures=2"]
    assert main(["check-data", *arguments]) == 1
    page = (tmp_path / "checked/check_data.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 20 and "json-quotes" in page
    assert "http://" not in page and "https://" not in page and "<link" not in page
    assert (tmp_path / "data/train_list.fixed.txt").is_file()
    assert "corrected: data/train_list.fixed.txt" in capsys.readouterr().out
    assert main(["check-data", *arguments]) == 2  # the folder contains a check


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["dataset.root=nowhere"], "dataset.root"),
        (
            [
                "dataset.root=data",
                "dataset=rec_list",
                "dataset.train_labels=trian_list.txt",
                "dataset.val_labels=v.txt",
            ],
            "did you mean dataset.train_labels=train_list.txt?",
        ),
        (["dataset.root=data", "task=text"], "task: expected one of det, rec, cls"),
        (["dataset.root=data", "workers=0"], "workers"),
        (["dataset.root=data", "fix=[text-space]"], "text-spaces"),
        (["dataset.root=data", "model=db_mbv3", "task=rec"], "task=rec: the chosen model is for det"),
        (["dataset=synth_rec", "model=crnn_mbv3", "dataset.root=data"], "dataset"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, key):
    monkeypatch.chdir(tmp_path)
    planted.clean_rec(tmp_path / "data").write()
    assert main(["check-data", *PLAIN, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ocrexp: ") and key in line


def test_a_pattern_is_typed_as_it_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    planted.clean_rec(tmp_path / "data").write()
    arguments = ["dataset.root=data", "charset.use_space_char=true", *PLAIN]
    assert main(["check-data", r"source=(\w+)\.png$", "output=named", *arguments]) == 0
    facts = json.loads((tmp_path / "named/check_data.json").read_text())["facts"]
    assert facts["photographs in train"] == 24
    assert main(["check-data", "source=", "output=none", *arguments]) == 0
    report = json.loads((tmp_path / "none/check_data.json").read_text())
    assert "photographs in train" not in report["facts"] and report["not_looked_at"] == []


def test_the_task_is_recognized_by_the_lists(tmp_path):
    planted.clean_det(tmp_path / "det").write()
    planted.clean_rec(tmp_path / "rec").write()
    (tmp_path / "cls").mkdir()
    (tmp_path / "cls/train_list.txt").write_text("a.png\t0\nb.png\t180\n")
    assert [task_of_data([f"dataset.root={tmp_path / name}"]) for name in ("det", "rec", "cls")] == [
        "det",
        "rec",
        "cls",
    ]
    config = compose_for(None, ["model=svtr_tiny", f"dataset.root={tmp_path / 'rec'}"])
    assert config.dataset._target_.endswith("RecLists") and config.model.name == "svtr_tiny"
