"""The bench verb measures, shows and writes; unknown measurements are named."""

import json
from types import SimpleNamespace

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
    assert capsys.readouterr().err.startswith("ocrexp: what: expected names of pipeline, rec_pipeline, step")


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
    assert main([*arguments, "paddleocr_source=PaddleOCR"]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [(row["ocrexp"], row["paddleocr"]) for row in rows] == [(400, 100), (200, None), (125, 100), (62.5, None)]
    assert capsys.readouterr().err.count("\n") == 1

    assert main(arguments) == 0
    assert all(row["paddleocr"] is None for row in json.loads(output.read_text())["rows"])
    assert "paddleocr_source=FOLDER" in capsys.readouterr().err
