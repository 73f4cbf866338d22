"""status.json: whole or not there, one line an error."""

from pathlib import Path

from ocrexp.engine.status import read_status, write_status


def test_values_stay_until_they_change(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    write_status(tmp_path, state="running", step=3, best_value=0.5)
    write_status(tmp_path, state="failed", error="one\n  two")
    status = read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["step"], status["best_value"], status["error"]) == ("failed", 3, 0.5, "one two")
    write_status(tmp_path, state="running")
    status = read_status(tmp_path)
    assert status is not None
    assert status["error"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "runn')
    assert read_status(tmp_path) is None
    write_status(tmp_path, state="running")
    assert read_status(tmp_path) is not None
