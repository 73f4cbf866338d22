"""The evaluation before the first step: where its figures are shown, and a training that makes the model worse."""

import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from standins import Closeness, FakeEvalLoader, Recorder, assert_same, make_trainer, read_value, weights
from test_trainer import At

from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.settings import TrainerSettings
from ocrexp.engine.status import read_status
from ocrexp.engine.validation import Validation
from ocrexp.loggers.csv import CSVLogger, read_rows
from ocrexp.loggers.group import LoggerGroup


class Falling(Closeness):
    """The first evaluation is the best."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def compute(self) -> dict[str, float]:
        self.calls += 1
        return {"closeness": 0.9 / self.calls}


def _two_sets() -> Validation:
    first, second = (Evaluator(FakeEvalLoader(images), read_value, Closeness()) for images in (6, 4))
    return Validation(first, {"receipts": second})


@pytest.mark.parametrize(
    ("pretrained", "asked", "expected"),
    [(True, "auto", [0, 6, 12]), (False, "auto", [6, 12]), (False, True, [0, 6, 12]), (True, False, [6, 12])],
)
def test_it_is_made_where_it_is_of_interest_or_asked_for(
    tmp_path: Path, pretrained: bool, asked: Any, expected: list[int]
) -> None:
    recorder = Recorder()
    trainer = make_trainer(tmp_path, logger=recorder, pretrained=pretrained, eval_at_start=asked)
    result = trainer.fit()
    assert [step for step, values in recorder.values if "val/closeness" in values] == expected
    before = [name for name in recorder.summary if name.startswith("zero_shot/")]
    assert bool(result.zero_shot) == bool(before) == (expected[0] == 0)
    assert recorder.summary["best/closeness"] == result.best_value
    assert recorder.summary["best/step"] == result.best_step


def test_a_wrong_value_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"eval_at_start: expected auto, true or false, got 'yes'"):
        TrainerSettings(eval_at_start="yes")


def test_its_figures_are_the_untrained_model_s_and_change_no_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the console, metrics.csv, status.json and the summary of the loggers; for each validation set."""
    caplog.set_level(logging.INFO)
    plain = make_trainer(tmp_path / "plain", validation=_two_sets())
    untrained = _two_sets().run(plain.model).metrics
    plain.fit()
    recorder = Recorder()
    trainer = make_trainer(tmp_path / "tuned", validation=_two_sets(), logger=recorder, pretrained=True)
    trainer.loggers = trainer._report._loggers = LoggerGroup({"recorder": recorder, "csv": CSVLogger()})
    caplog.clear()
    result = trainer.fit()
    assert_same(weights(plain), weights(trainer))
    assert result.zero_shot == untrained
    assert {name: value for name, value in recorder.summary.items() if name.startswith("zero_shot/")} == {
        "zero_shot/closeness": untrained["closeness"],
        "zero_shot/receipts/closeness": untrained["receipts/closeness"],
    }
    status = read_status(tmp_path / "tuned")
    assert status is not None
    assert status["zero_shot"] == untrained["closeness"]
    assert status["zero_shot_metrics"] == untrained
    row = read_rows(tmp_path / "tuned/metrics.csv")[1][0]
    assert row["step"] == "0"
    assert float(row["val/closeness"]) == pytest.approx(untrained["closeness"])
    assert float(row["val/receipts/closeness"]) == pytest.approx(untrained["receipts/closeness"])
    assert "step 0 evaluation (before training): closeness" in caplog.text
    before = [line.count("; before training") for line in caplog.messages if "images in" in line]
    assert before == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("decay", [None, 0.9])
def test_a_training_that_makes_it_worse_keeps_the_start_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, decay: float | None
) -> None:
    evaluator = Evaluator(FakeEvalLoader(), read_value, Falling())
    trainer = make_trainer(tmp_path, evaluator=evaluator, pretrained=True, ema_decay=decay)
    start = weights(trainer)
    result = trainer.fit()
    assert (result.state, result.best_step, result.best_value) == ("done", 0, 0.9)
    saved = {
        key: np.asarray(value)
        for key, value in paddle.load(str(tmp_path / "checkpoints/best_accuracy.pdparams")).items()
    }
    assert_same(saved, start)
    (line,) = [line for line in caplog.messages if "has not improved the model" in line]
    assert "closeness 0.9000" in line and "optim.lr" in line


def test_a_training_that_helps_names_both_figures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = make_trainer(tmp_path, pretrained=True, lr=0.05).fit()
    assert result.best_step and result.best_value is not None
    assert result.best_value > result.zero_shot["closeness"]
    assert f"(before training {result.zero_shot['closeness']:.4f})" in caplog.text
    assert "has not improved" not in caplog.text


def test_a_resumed_run_does_not_repeat_it_and_keeps_its_figures(tmp_path: Path) -> None:
    stop = At(3, lambda run: os.kill(os.getpid(), signal.SIGTERM))
    first = make_trainer(tmp_path, callbacks={"stop": stop}, log_every_steps=1, pretrained=True)
    assert first.fit().state == "interrupted"
    recorder = Recorder()
    on = make_trainer(tmp_path, logger=recorder, pretrained=True)
    on.restore(CheckpointStore(tmp_path).load_for_resume())
    result = on.fit()
    assert [step for step, values in recorder.values if "val/closeness" in values] == [6, 12]
    assert result.zero_shot == first.state.zero_shot
    assert recorder.summary["zero_shot/closeness"] == result.zero_shot["closeness"]


def test_a_stop_during_it_makes_it_again(tmp_path: Path) -> None:
    class Interrupting(Closeness):
        def update(self, predictions: list[Any], references: list[Any]) -> None:
            super().update(predictions, references)
            os.kill(os.getpid(), signal.SIGTERM)

    cut = make_trainer(tmp_path, evaluator=Evaluator(FakeEvalLoader(20), read_value, Interrupting()), pretrained=True)
    assert cut.fit().state == "interrupted"
    recorder = Recorder()
    on = make_trainer(tmp_path, logger=recorder, pretrained=True)
    on.restore(CheckpointStore(tmp_path).load_for_resume())
    assert on.step == 0
    on.fit()
    assert [step for step, values in recorder.values if "val/closeness" in values] == [0, 6, 12]


def test_a_value_of_0_before_training_is_no_sign_of_a_fault(tmp_path: Path) -> None:
    class Zero(Closeness):
        def compute(self) -> dict[str, float]:
            return {"closeness": 0.0}

    trainer = make_trainer(
        tmp_path, evaluator=Evaluator(FakeEvalLoader(), read_value, Zero()), eval_at_start=True, max_epochs=1
    )
    trainer.fit()
    assert (trainer.state.evaluations, trainer.state.zero_evaluations) == (2, 1)


def test_curves_mark_it(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from ocrexp.report import curves

    figure = Figure()
    axes = figure.subplots()
    series = {"accuracy": (np.array([0.0, 6.0, 12.0]), np.array([0.71, 0.8, 0.9]))}
    curves._draw(axes, series, "validation", smooth=False, share=True)
    (mark,) = [line for line in axes.get_lines() if str(line.get_label()).startswith("before training")]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([0], [0.71])
    assert axes.get_legend() is not None
    later = figure.subplots()
    curves._draw(later, {"accuracy": (np.array([6.0]), np.array([0.8]))}, "validation", smooth=False, share=True)
    assert later.get_legend() is None
