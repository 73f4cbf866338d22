"""Curves from metrics.csv."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.csv import CSVLogger
from ocrexp.report import curves
from ocrexp.report.curves import plot_run, read_series, smoothed


@pytest.fixture
def metrics_csv(tmp_path: Path) -> Path:
    logger = CSVLogger()
    logger.start(RunInfo("run", tmp_path))
    for step in range(10, 101, 10):
        values = {"train/loss": 1 / step, "train/loss_shrink": 0.5 / step, "train/lr": 1e-3}
        logger.log_metrics({**values, "train/images_per_second": 3.0}, step)
    logger.log_metrics({"val/hmean": 0.5, "val/precision": 0.6, "val/invalid_predictions": 12.0}, 100)
    return tmp_path / "metrics.csv"


def test_plots_are_written(metrics_csv: Path, tmp_path: Path) -> None:
    written = plot_run(metrics_csv, tmp_path / "plots", "run")
    assert [path.name for path in written] == ["loss.png", "lr.png", "metrics.png", "speed.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written)
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in written)


def test_series_leave_out_rows_without_the_value(metrics_csv: Path) -> None:
    series = read_series(metrics_csv)
    assert series["train/loss"][0].tolist() == list(range(10, 101, 10))
    assert [values.tolist() for values in series["val/hmean"]] == [[100.0], [0.5]]


def test_nothing_to_draw(tmp_path: Path) -> None:
    assert plot_run(tmp_path / "metrics.csv", tmp_path / "plots") == []
    (tmp_path / "metrics.csv").write_text("step,train/loss\n10,nan\n20,nan\n")
    assert [path.name for path in plot_run(tmp_path / "metrics.csv", tmp_path / "plots")] == ["loss.png"]


def test_smoothing_keeps_the_level_and_skips_gaps() -> None:
    values = np.full(200, 3.0)
    values[50] = np.nan
    np.testing.assert_allclose(smoothed(values), 3.0)
    assert smoothed(np.array([1.0, 5.0])).tolist() == [1.0, 5.0]


def test_values_of_training_batches_join_the_main_one_and_details_stay_out(tmp_path: Path) -> None:
    logger = CSVLogger()
    logger.start(RunInfo("run", tmp_path))
    for step in range(10, 1001, 10):
        logger.log_metrics({"train/loss": 1 / step, "train/accuracy": step / 1000}, step)
    logger.log_metrics({"val/accuracy": 0.5, "val/accuracy_length/1_5": 0.7}, 1000)
    drawn: dict[str, list[str]] = {}
    original = curves._plot

    def spy(series: dict[str, curves.Series], path: Path, *given: Any, **named: Any) -> Path:
        drawn[path.name] = list(series)
        return original(series, path, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "_plot", spy)
        curves.plot_run(tmp_path / "metrics.csv", tmp_path / "plots")
    assert drawn["metrics.png"] == ["accuracy", "accuracy on training batches"]
    assert drawn["loss.png"] == ["loss"]
