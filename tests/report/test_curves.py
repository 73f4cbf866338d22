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
    logger.log_metrics({"val/accuracy": 0.5, "val/accuracy_length/1_5": 0.7, "val/area_ratio": 0.9}, 1000)
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


def test_one_picture_of_a_run_with_both_losses_and_the_metric(tmp_path: Path) -> None:
    logger = CSVLogger()
    logger.start(RunInfo("run", tmp_path))
    for step in (10, 20, 30):
        logger.log_metrics({"train/loss": 1 / step, "val/loss": 0.5, "val/loss_shrink": 0.2, "val/hmean": 0.1}, step)
    _, losses, metrics = curves._grouped(read_series(tmp_path / "metrics.csv"))
    assert list(losses) == ["loss", "validation loss"] and list(metrics) == ["hmean"]
    path = curves.plot_results(tmp_path / "metrics.csv", tmp_path / "plots" / "results.png", "a_$x$ on b")
    assert path is not None and path.read_bytes()[:4] == b"\x89PNG"
    assert curves.plot_results(tmp_path / "none.csv", tmp_path / "no.png") is None


def test_a_metric_of_0_is_written_above_the_axis_and_losses_below_the_top() -> None:
    _, (metric, loss) = curves._figure(2)
    steps, zeros = np.array([1.0, 2.0]), np.zeros(2)
    curves._draw(metric, {"hmean": (steps, zeros)}, "validation", smooth=False, share=True)
    assert metric.texts[0].xyann[1] > 0
    curves._draw(loss, {"loss": (steps, np.array([8.4, 7.9]))}, "loss", smooth=False, share=False)
    assert loss.get_ylim()[0] == 0 and loss.get_ylim()[1] > 8.6


def test_a_title_names_model_and_data(tmp_path: Path) -> None:
    from ocrexp.report.title import run_title

    assert run_title(tmp_path) == tmp_path.name
    (tmp_path / "config_resolved.yaml").write_text("model: {name: m}\ndataset: {root: d, val_labels: v.txt}\n")
    assert run_title(tmp_path) == f"m on d (v.txt), run {tmp_path.name}"


def test_drawn_data_have_the_name_of_their_option() -> None:
    from ocrexp.report.title import data_name

    assert data_name({"_target_": "ocrexp.data.synth.cls_dataset.SynthCls"}) == "synth_cls"
    assert data_name({"_target_": "mypkg.data.BoxTable", "root": "d"}) == "d (box_table)"


def test_one_metric_alone_is_named_at_its_axis_and_steps_begin_at_0() -> None:
    _, (axes,) = curves._figure(1)
    curves._draw(axes, {"accuracy": (np.array([300.0, 600.0]), np.array([0.8, 0.9]))}, "validation", False, True)
    assert axes.get_ylabel() == "validation accuracy"
    assert axes.get_xlim()[0] == 0


def test_variants_of_a_metric_are_in_the_file_alone(tmp_path: Path) -> None:
    logger = CSVLogger()
    logger.start(RunInfo("run", tmp_path))
    names = ("accuracy", "accuracy_ignore_case", "norm_edit_distance", "norm_edit_distance_no_spaces")
    logger.log_metrics({f"val/{name}": 0.5 for name in names}, 10)
    assert list(curves._grouped(read_series(tmp_path / "metrics.csv"))[2]) == ["accuracy", "norm_edit_distance"]


def test_the_mark_of_a_metric_of_0_stays_above_the_axis() -> None:
    _, (axes,) = curves._figure(1)
    curves._draw(axes, {"hmean": (np.array([10.0, 20.0]), np.array([0.0, 0.0]))}, "validation", False, True)
    (mark,) = axes.texts
    assert mark.xyann[1] > 0
