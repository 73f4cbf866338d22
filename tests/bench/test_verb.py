"""The bench verb measures, shows and writes; unknown measurements are named."""

import json
from types import SimpleNamespace

import pytest

from ocrexp.__main__ import main


def test_measures_what_was_asked_and_writes_json(tmp_path, capsys):
    output = tmp_path / "bench.json"
    assert main(["bench", "what=[metric,postprocess]", f"output={output}"]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [row["unit"] for row in rows] == ["ms", "ms", "ms"]
    assert all(row["ocrexp"] > 0 and row["paddleocr"] is None for row in rows)
    assert "metric, 50 × 50 boxes" in capsys.readouterr().out


def test_unknown_measurement(capsys):
    assert main(["bench", "what=[speed]"]) == 2
    assert capsys.readouterr().err.startswith("ocrexp: what: expected names of pipeline, rec_pipeline, shards, step")


def test_environment_without_paddleocr_is_told(tmp_path, capsys):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 3\n")
    broken.chmod(0o755)
    assert main(["bench", "what=[postprocess]", f"paddleocr={broken}"]) == 1
    assert "failed: no such module" in capsys.readouterr().err


def test_training_of_a_recogniser_stands_beside_paddleocr_where_its_source_is_named(tmp_path, capsys, monkeypatch):
    def time_step(*, image_size, tuned, **given):
        assert given["task"] == "rec"
        return SimpleNamespace(images_per_second=(400 if tuned else 200) / (image_size[1] / 100))

    monkeypatch.setattr("ocrexp.bench.step.time_training_step", time_step)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho '{\"images_per_second\": 100}'\n")
    python.chmod(0o755)
    output = tmp_path / "bench.json"
    arguments = ["bench", "what=[rec_step]", "repeats=2", f"paddleocr={python}", f"output={output}"]
    assert main([*arguments, f"paddleocr_source={tmp_path}"]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [(row["ocrexp"], row["paddleocr"]) for row in rows] == [(400, 100), (200, None), (125, 100), (62.5, None)]
    assert capsys.readouterr().err.count("\n") == 1

    assert main(arguments) == 0
    assert all(row["paddleocr"] is None for row in json.loads(output.read_text())["rows"])
    assert "paddleocr_source=FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("what=[]", ["what", "pipeline"]),
        ("what=[metrics]", ["what", "metrics", "did you mean metric?"]),
        ("repeats=0", ["repeats", "1 or more", "0"]),
        ("repeats=x", ["repeats", "1 or more", "'x'"]),
        ("rec_images=-1", ["rec_images", "-1"]),
        ("page_count=1.5", ["page_count", "1.5"]),
        ("line_count=true", ["line_count", "True"]),
        ("batch_sizes=[]", ["batch_sizes", "1 or more"]),
        ("batch_sizes=[6,0]", ["batch_sizes", "0"]),
        ("threads=[x]", ["threads", "null", "x"]),
        ("backends=[onx]", ["backends", "did you mean onnx?"]),
        ("drop_score=2", ["drop_score", "0 to 1", "2"]),
        ("det_args=3", ["det_args", "3"]),
        ("paddleocr=/none/python", ["paddleocr=/none/python", "venv/bin/python"]),
        ("root=/none", ["root=/none", "existing folder"]),
        ("output=/proc/none/bench.json", ["output=", "writable"]),
    ],
)
def test_a_value_that_cannot_be_is_one_line(given, words, capsys):
    assert main(["bench", given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ocrexp: {words[0]}") and all(word in line for word in words)


def test_a_single_name_may_stand_for_a_list(capsys):
    assert main(["bench", "what=metric", "threads=null", "batch_sizes=6"]) == 0
    assert "metric" in capsys.readouterr().out
