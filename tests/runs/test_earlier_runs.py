"""Run folders of an earlier version: resume, eval, export and predict work on them.

`golden/runs/f584fdc.tar.xz` holds a recognizer (`rec`, two epochs, averaged weights) and a detector
(`det`, with `best_accuracy` alone), trained by commit f584fdc on the words and pages beside them.
"""

import json
import tarfile

import pytest
import warm


def ocrexp(folder, *arguments):
    """Run the program as a user does, in `folder`; returns what it prints. Exit code 0 is expected."""
    done = warm.run(["-m", "ocrexp", *arguments], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "warning: charset:" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def earlier(golden, tmp_path_factory):
    """The folder of both runs and their data."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(golden / "runs" / "f584fdc.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def exported(folder, name, checkpoint):
    """Export a run and read one of its images with the result; returns the rows of predictions.jsonl."""
    said = ocrexp(folder, "export", f"run_dir={name}", f"checkpoint={checkpoint}")
    assert "parity paddle: holds" in said
    images = {"rec": "words/images/0_1.png", "det": "pages/images/2.png"}[name]
    ocrexp(folder, "predict", f"images={images}", f"output=read_{name}", f"{name}={name}/inference")
    return [json.loads(line) for line in (folder / f"read_{name}" / "predictions.jsonl").read_text().splitlines()]


def test_a_recognizer_resumes_and_is_evaluated_exported_and_read_with(earlier):
    assert len(exported(earlier, "rec", "latest")) == 1
    before = json.loads((earlier / "rec" / "status.json").read_text())
    assert before["step"] == 2
    ocrexp(earlier, "resume", "run_dir=rec", "trainer.max_epochs=3")
    status = json.loads((earlier / "rec" / "status.json").read_text())
    assert (status["state"], status["step"], status["epoch"]) == ("done", 3, 3)
    assert status["val_loss"] < before["val_loss"] * 2  # the weights are those of the run, not new ones
    ocrexp(earlier, "eval", "run_dir=rec", "output=rec.json")  # best_accuracy, of the earlier version
    report = json.loads((earlier / "rec.json").read_text())
    assert report["images"] == 4
    assert {name: report["metrics"][name] for name in ("accuracy", "norm_edit_distance")} == pytest.approx(
        {name: status["metrics"][name] for name in ("accuracy", "norm_edit_distance")}
    )


def test_a_detector_is_evaluated_exported_and_read_with(earlier):
    ocrexp(earlier, "eval", "run_dir=det", "output=det.json")
    report = json.loads((earlier / "det.json").read_text())
    assert report["images"] == 1
    assert report["metrics"]["hmean"] == json.loads((earlier / "det" / "status.json").read_text())["best_value"]
    assert len(exported(earlier, "det", "best")) == 1
