"""The callbacks that draw: prediction pictures and curves."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.engine.callbacks.curves import Curves
from ocrexp.engine.callbacks.pictures import PredictionPictures
from ocrexp.loggers.base import SampleRow
from ocrexp.results import DetPrediction, DetReference, EvalResult, EvalSample
from ocrexp.tasks.find import find_task


class Sink:
    def __init__(self) -> None:
        self.images: list[tuple[str, int, int, list[str] | None]] = []
        self.rows: list[SampleRow] = []

    def log_metrics(self, values: dict[str, float], step: int) -> None: ...

    def log_artifact(self, path: Path, name: str, kind: str) -> None: ...

    wants_samples = True

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None:
        self.rows = list(rows)

    def log_images(self, name: str, images: list[np.ndarray], step: int, captions: list[str] | None = None) -> None:
        self.images.append((name, len(images), step, captions))


class Run:
    def __init__(self, folder: Path) -> None:
        self.run_dir = folder
        self.step = 0
        self.epoch = 0
        self.total_steps = 100
        self.best_metrics: dict[str, float] = {}
        self.main_metric = "hmean"
        self.loggers = Sink()
        self.task = find_task("det")

    def request_stop(self, reason: str) -> None: ...


@pytest.fixture
def result(tmp_path: Path) -> EvalResult:
    path = tmp_path / "page.png"
    cv2.imwrite(str(path), np.zeros((60, 80, 3), np.uint8))
    region = np.array([[5, 5], [50, 5], [50, 30], [5, 30]], np.float32)
    sample = EvalSample(str(path), DetPrediction([region], [0.9]), DetReference([region], [False]))
    return EvalResult({"hmean": 1.0}, [sample] * 3, images=3, seconds=1.0)


def drawn(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "plots" / "predictions").glob("*"))


def test_pictures_go_to_the_run_folder_and_the_loggers(tmp_path: Path, result: EvalResult) -> None:
    run = Run(tmp_path)
    run.step = 40
    PredictionPictures(limit=2).on_evaluation_end(run, result, is_best=True)
    assert drawn(tmp_path) == ["step_0000040_00.jpg", "step_0000040_01.jpg"]
    expected = ["page.png: 1 found, 0 missed, 0 wrong"] * 2
    assert run.loggers.images == [("val/predictions", 2, 40, expected)]
    row = run.loggers.rows[0]
    assert (row.truth, row.prediction, row.score) == ("1 region", "1 found, 0 missed, 0 wrong", 1.0)
    assert len(run.loggers.rows) == 3 and row.picture.dtype == np.uint8 and row.picture.ndim == 3


def test_not_every_evaluation_but_always_the_best_and_the_latest_are_kept(tmp_path: Path, result: EvalResult) -> None:
    run, callback = Run(tmp_path), PredictionPictures(every_evaluations=3, limit=1, keep=2)
    for step, best in ((10, False), (20, False), (30, True), (40, False)):
        run.step = step
        callback.on_evaluation_end(run, result, is_best=best)
    assert [call[2] for call in run.loggers.images] == [10, 30, 40]
    assert drawn(tmp_path) == ["step_0000030_00.jpg", "step_0000040_00.jpg"]


def test_the_count_of_evaluations_survives_a_resume(tmp_path: Path, result: EvalResult) -> None:
    before, after = PredictionPictures(every_evaluations=2), PredictionPictures(every_evaluations=2)
    before.on_evaluation_end(Run(tmp_path), result, is_best=False)
    after.load_state_dict(before.state_dict())
    run = Run(tmp_path)
    after.on_evaluation_end(run, result, is_best=False)
    assert run.loggers.images == []


def test_another_way_of_drawing(tmp_path: Path, result: EvalResult) -> None:
    run = Run(tmp_path)
    PredictionPictures(draw=lambda _: np.zeros((4, 4, 3), np.uint8)).on_evaluation_end(run, result, is_best=False)
    assert run.loggers.images == [("val/predictions", 3, 0, ["page.png"] * 3)]


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"limit"):
        PredictionPictures(limit=0)


def test_curves_are_drawn_after_an_evaluation_and_at_the_end(
    tmp_path: Path, result: EvalResult, caplog: pytest.LogCaptureFixture
) -> None:
    run: Any = Run(tmp_path)
    caplog.set_level(logging.INFO)
    Curves().on_evaluation_end(run, result, is_best=False)
    Curves().on_fit_end(run, "failed")
    assert len(caplog.records) == 1 and "no curves" in caplog.text
    (tmp_path / "metrics.csv").write_text("step,train/loss,val/hmean\n10,1.0,\n20,0.5,0.4\n")
    Curves().on_fit_end(run, "done")
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["loss.png", "metrics.png"]
    assert (tmp_path / "results.png").is_file()


def test_a_full_disk_costs_the_pictures_only(
    tmp_path: Path, result: EvalResult, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plots").write_text("a file where the folder should be")  # writing below it fails as on a full disk
    run = Run(tmp_path)
    with caplog.at_level(logging.WARNING):
        PredictionPictures().on_evaluation_end(run, result, is_best=True)
    assert "pictures could not be written" in caplog.text
    assert run.loggers.images  # the loggers still get them
