"""metrics.csv: stable columns, readable at any moment, no step twice after a resume."""

import csv
from pathlib import Path

import pytest

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.csv import CSVLogger
from ocrexp.report.curves import read_series


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def started(folder: Path, resumed: bool = False, resume_step: int | None = None) -> CSVLogger:
    logger = CSVLogger()
    logger.start(RunInfo("run", folder, resumed=resumed, resume_step=resume_step))
    return logger


def test_values_of_one_step_share_a_row_and_new_columns_join(tmp_path: Path) -> None:
    logger = started(tmp_path)
    logger.log_metrics({"train/loss": 2.5, "train/lr": 1e-3}, step=10)
    logger.log_metrics({"train/loss": 1.25, "train/lr": 1e-3}, step=20)
    logger.log_metrics({"val/hmean": 0.5}, step=20)
    logger.log_metrics({"val/precision": 0.75}, step=20)
    logger.log_metrics({"train/loss": 1.0}, step=30)
    logger.log_metrics({"train/lr": 5e-4}, step=30)
    assert rows(tmp_path) == [
        {"step": "10", "train/loss": "2.5", "train/lr": "0.001", "val/hmean": "", "val/precision": ""},
        {"step": "20", "train/loss": "1.25", "train/lr": "0.001", "val/hmean": "0.5", "val/precision": "0.75"},
        {"step": "30", "train/loss": "1", "train/lr": "0.0005", "val/hmean": "", "val/precision": ""},
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"], "no temporary file stays"


def test_resume_cuts_the_rows_that_are_made_again(tmp_path: Path) -> None:
    before = started(tmp_path)
    for step in (10, 20, 30, 40):
        before.log_metrics({"train/loss": float(step)}, step)
    after = started(tmp_path, resumed=True, resume_step=20)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "20"]
    after.log_metrics({"val/hmean": 0.5}, 20)
    after.log_metrics({"train/loss": 31.0}, 30)
    assert [(row["step"], row["train/loss"], row["val/hmean"]) for row in rows(tmp_path)] == [
        ("10", "10", ""),
        ("20", "20", "0.5"),
        ("30", "31", ""),
    ]


def test_a_step_that_goes_back_cuts_the_later_rows_without_being_told(tmp_path: Path) -> None:
    before = started(tmp_path)
    for step in (10, 20, 30):
        before.log_metrics({"train/loss": float(step)}, step)
    after = started(tmp_path, resumed=True)
    after.log_metrics({"train/loss": 21.0}, 20)
    after.log_metrics({"train/loss": 31.0}, 30)
    assert [(row["step"], row["train/loss"]) for row in rows(tmp_path)] == [("10", "10"), ("20", "21"), ("30", "31")]


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path: Path) -> None:
    before = started(tmp_path)
    before.log_metrics({"train/loss": 1.0, "train/lr": 0.5}, 10)
    before.log_metrics({"train/loss": 2.0, "train/lr": 0.5}, 20)
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-3])
    after = started(tmp_path, resumed=True, resume_step=20)
    after.log_metrics({"train/loss": 2.0, "train/lr": 0.5}, 20)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "20"]


def test_an_empty_file_is_started_anew(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").touch()
    started(tmp_path, resumed=True, resume_step=20).log_metrics({"train/loss": 1.0}, 30)
    assert rows(tmp_path) == [{"step": "30", "train/loss": "1"}]


def test_values_keep_the_digits_of_a_float32(tmp_path: Path) -> None:
    started(tmp_path).log_metrics({"a": 0.123456791, "b": float("nan"), "c": 3e-11}, 1)
    assert rows(tmp_path) == [{"step": "1", "a": "0.123456791", "b": "nan", "c": "3e-11"}]


def test_rows_that_a_full_disk_does_not_take_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = CSVLogger()
    logger.start(RunInfo(name="run", run_dir=tmp_path))
    logger.log_metrics({"loss": 1.0}, 1)
    real = CSVLogger._lines

    def cut(self: CSVLogger, rows: list[dict[str, str]]) -> bytes:
        with (tmp_path / "metrics.csv").open("ab") as file:
            file.write(b"2,0.")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CSVLogger, "_lines", cut)
    logger.log_metrics({"loss": 0.5}, 2)
    logger.log_metrics({"loss": 0.4, "rate": 7.0}, 3)
    monkeypatch.setattr(CSVLogger, "_lines", real)
    logger.log_metrics({"loss": 0.3}, 4)
    assert (tmp_path / "metrics.csv").read_text() == "step,loss,rate\n1,1,\n2,0.5,\n3,0.4,7\n4,0.3,\n"
    assert len([message for message in caplog.messages if "cannot be written" in message]) == 1


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe,", b"\0" * 40 + b"\n", b'"' + b"x" * 200_000 + b"\n", b"\xc2\xb2,1\n", b"9" * 5000 + b",1\n", b",,\n"],
)
def test_rows_that_a_disk_has_damaged_are_dropped(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"step,loss\n1,0.5\n" + damage + b"3,0.25\n")
    logger = started(tmp_path, resumed=True, resume_step=3)
    logger.log_metrics({"loss": 0.125}, step=4)
    kept = [(row["step"], row["loss"]) for row in rows(tmp_path)]
    assert kept[0] == ("1", "0.5")
    assert kept[-1] == ("4", "0.125")
    assert set(kept[1:-1]) <= {("3", "0.25")}
    assert read_series(path)["loss"][1].tolist()[0] == 0.5
