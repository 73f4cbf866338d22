"""The bench verb measures, shows and writes; unknown measurements are named."""

import json

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
    assert capsys.readouterr().err.startswith("ocrexp: what=speed: choose from pipeline, rec_pipeline, step")


def test_environment_without_paddleocr_is_told(tmp_path, capsys):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 3\n")
    broken.chmod(0o755)
    assert main(["bench", "what=[postprocess]", f"paddleocr={broken}"]) == 1
    assert "failed: no such module" in capsys.readouterr().err
