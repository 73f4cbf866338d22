"""Sheets of recognised crops and the report of an evaluation of texts."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.drawing import INK, MISSED, RIGHT, WRONG
from ocrexp.engine.callbacks.pictures import PredictionPictures
from ocrexp.engine.callbacks.report import EvaluationReport
from ocrexp.loggers.base import SampleRow
from ocrexp.metrics.rec import RecMetric
from ocrexp.report.recognition import compared, draw_sheet
from ocrexp.report.text import line_picture, visible
from ocrexp.report.text_report import draw_accuracy_by_length, write_text_report
from ocrexp.results import EvalResult, EvalSample, RecPrediction, RecReference
from ocrexp.tasks.find import find_task


class Run:
    """What the callbacks see of a run; it is its own logger."""

    def __init__(self, folder: Path) -> None:
        self.run_dir, self.step, self.main_metric = folder, 40, "accuracy"
        self.best_metrics: dict[str, float] = {}
        self.task = find_task("rec")
        self.images: list[tuple[str, int, list[str] | None]] = []

    @property
    def loggers(self) -> Any:
        return self

    wants_samples = True

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None:
        self.rows = list(rows)

    def log_images(self, name: str, images: list[np.ndarray], step: int, captions: list[str] | None = None) -> None:
        self.images.append((name, len(images), captions))


def evaluated(folder: Path, pairs: list[tuple[str, str]], case: Any = "keep") -> EvalResult:
    """An evaluation with (label, prediction) pairs, each of its own crop."""
    metric = RecMetric(case=case)
    samples = []
    for number, (label, predicted) in enumerate(pairs):
        path = folder / f"crop_{number}.png"
        cv2.imwrite(str(path), np.full((20, 60 + 10 * number, 3), 200, np.uint8))
        samples.append(EvalSample(str(path), RecPrediction(predicted, 0.8), RecReference(label)))
    metric.update([sample.prediction for sample in samples], [sample.reference for sample in samples])
    worst = [sample for sample in samples if metric.severity(sample.prediction, sample.reference) > 0]
    return EvalResult(metric.compute(), samples, len(samples), 1.0, [], worst, metric.details())


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether the colour is in the picture, but for the smoothing of letters."""
    return bool((np.abs(picture.astype(int) - colour).max(axis=2) < 12).any())


def test_pieces_tell_what_agrees() -> None:
    assert compared("TOTAL", "TOTAL") == ([("TOTAL", INK)], [("TOTAL", RIGHT)])
    assert compared("RM 5.00", "RM5.00 x") == (
        [("RM", INK), ("␣", MISSED), ("5.00", INK)],
        [("RM", RIGHT), ("5.00", RIGHT), ("␣x", WRONG)],
    )
    assert compared("TOTAL", "Total", case="upper")[1] == [("Total", RIGHT)]
    assert compared("مرحبا", "مرحب") == ([("مرحبا", INK)], [("مرحب", WRONG)]), "joined letters stay in one piece"


def test_a_sheet_shows_right_ones_green_and_wrong_ones_orange(tmp_path: Path) -> None:
    right = draw_sheet(evaluated(tmp_path, [("RM 5", "RM 5")] * 2).samples)
    wrong = draw_sheet(evaluated(tmp_path, [("RM 5", "RM")] * 2).samples)
    nothing = draw_sheet(evaluated(tmp_path, [("RM 5", "")] * 2).samples)
    assert has(right, RIGHT) and not has(right, WRONG) and not has(right, MISSED)
    assert has(wrong, RIGHT) and has(wrong, MISSED)
    assert has(nothing, WRONG)
    assert right.shape == wrong.shape


def test_cells_show_the_name_of_their_file_with_its_end(tmp_path: Path) -> None:
    names = ["a.png", "b.png", *("x" * 120 + end for end in ("1.png", "2.png"))]
    cells = []
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.full((20, 60, 3), 200, np.uint8))
        cells.append(draw_sheet([EvalSample(str(tmp_path / name), RecPrediction("1", 0.5), RecReference("1"))]))
    assert len({cell.shape for cell in cells}) == 1
    assert not np.array_equal(cells[0], cells[1])
    assert not np.array_equal(cells[2], cells[3])


def test_a_crop_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    sample = EvalSample(str(tmp_path / "gone.jpg"), RecPrediction("", 0.0), RecReference("abc"))
    assert has(draw_sheet([sample]), MISSED)


def test_every_character_leaves_something_to_see() -> None:
    blank = line_picture([("", INK)], 16, 300)
    for text in ("abc", "Ωμέγα", "Привет", "مرحبا", "é", "\t", "\U000e0fff", "你"):
        picture = line_picture([(text, INK)], 16, 300)
        assert picture.shape == blank.shape
        assert (picture != blank).any(), text
    assert line_picture([("x" * 200, INK)], 16, 300).shape == blank.shape
    assert [visible(c) for c in ("a", " ", "", "\t", "\u0301")] == ["a", "␣", "∅", "U+0009", "◌\u0301"]


def test_the_report_of_an_evaluation(tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    result = evaluated(tmp_path, [("O0", "00"), ("O1", "01"), ("a b", "ab"), ("same", "same"), ("x" * 50, "")])
    pictures = write_text_report(result.details, result.worst, plots)
    assert set(pictures) == {"confusions", "accuracy_by_length", "worst_samples"}
    for name in pictures:
        drawn = cv2.imread(str(plots / f"{name}.png"))
        assert drawn is not None and drawn.std() > 1, name
    with (plots / "confusions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["predicted"], row["count"]) for row in rows] == [
        ("x", "", "50"), ("O", "0", "2"), (" ", "", "1"),
    ]  # fmt: skip
    assert rows[1]["share_of_label"] == "1.0000"
    assert rows[2]["label_code"] == "U+0020"
    assert not list(plots.glob("*.tmp"))


def test_nothing_wrong_leaves_no_old_worst_samples(tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    result = evaluated(tmp_path, [("a", "b")])
    write_text_report(result.details, result.worst, plots)
    perfect = evaluated(tmp_path, [("a", "a")])
    assert set(write_text_report(perfect.details, perfect.worst, plots)) == {"confusions", "accuracy_by_length"}
    assert not (plots / "worst_samples.png").exists()
    assert not (RecMetric().details().samples)
    assert set(write_text_report(RecMetric().details(), [], plots)) == {"confusions"}


@pytest.mark.parametrize("lengths", [[1], [0], [1, 400], [7, 7, 7]])
def test_accuracy_by_length_is_drawn_for_any_lengths(lengths: list[int]) -> None:
    metric = RecMetric()
    metric.update([RecPrediction("x" * n, 1.0) for n in lengths], [RecReference("x" * n) for n in lengths])
    assert draw_accuracy_by_length(metric.details()).std() > 1


def test_pictures_of_texts_are_one_sheet(tmp_path: Path) -> None:
    run = Run(tmp_path)
    PredictionPictures(limit=1).on_evaluation_end(run, evaluated(tmp_path, [("a", "a"), ("b", "c")]), is_best=True)
    assert [path.name for path in (tmp_path / "plots" / "predictions").iterdir()] == ["step_0000040_00.jpg"]
    assert run.images == [("val/predictions", 1, ["1 of 2 read right"])]
    assert [(row.truth, row.prediction, row.score) for row in run.rows] == [("a", "a", 0.8), ("b", "c", 0.8)]
    assert run.rows[1].picture.shape == (20, 70, 3), "the crop itself"


def test_the_report_belongs_to_the_best_evaluation(tmp_path: Path) -> None:
    run, callback = Run(tmp_path), EvaluationReport()
    half = evaluated(tmp_path, [("a", "a"), ("b", "c")])
    worse = evaluated(tmp_path, [("a", "x"), ("b", "y")])
    run.best_metrics = half.metrics
    callback.on_evaluation_end(run, half, is_best=True)
    table = (tmp_path / "plots" / "confusions.csv").read_text(encoding="utf-8")
    callback.on_evaluation_end(run, worse, is_best=False)
    assert (tmp_path / "plots" / "confusions.csv").read_text(encoding="utf-8") == table
    assert [name for name, _, _ in run.images] == ["val/confusions", "val/accuracy_by_length", "val/worst_samples"]
    callback.on_evaluation_end(run, EvalResult({"accuracy": 0.5}, [], 0, 1.0), is_best=True)  # as of detection
    assert len(run.images) == 3


def test_real_crops(tmp_path: Path, real_data: Path) -> None:
    lines = (real_data / "sroie_rec" / "val_list.txt").read_text(encoding="utf-8").splitlines()[:4]
    samples = []
    for line in lines:
        name, _, text = line.partition("\t")
        path = str(real_data / "sroie_rec" / name)
        samples.append(EvalSample(path, RecPrediction(text.lower(), 0.5), RecReference(text)))
    sheet = draw_sheet(samples, case="upper")
    assert has(sheet, RIGHT) and not has(sheet, WRONG)
