"""`trainer.max_minutes`: when a run ends by it, what it leaves, and how it is resumed."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from standins import FakeLoader, Recorder, assert_same, make_trainer, weights

from ocrexp.engine import distributed, trainer
from ocrexp.engine.budget import TimeBudget
from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.policy import Policy
from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import read_status
from ocrexp.runs.state import read_state

STEP = 30.0  # seconds


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes loaders whose every batch takes 30 seconds on the trainer's clock."""
    now = [1000.0]

    def spoil(batch: Any, epoch: int, number: int) -> Any:
        now[0] += STEP
        return batch

    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return lambda: FakeLoader(spoil=spoil)


def test_it_ends_the_run_as_done_with_its_best_and_a_reason(
    tmp_path: Path, slow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recorder = Recorder()
    made = make_trainer(tmp_path, loader=slow(), logger=recorder, max_minutes=3.5, max_epochs=5, log_every_steps=1)
    rates = [made._schedule(step) for step in range(7)]
    result = made.fit()
    assert (result.state, result.step, result.exit_code) == ("done", 7, 0)
    assert [step for step, values in recorder.values if "val/closeness" in values] == [6, 7]
    assert [values["train/lr"] for _, values in recorder.values if "train/lr" in values] == rates  # of 30 steps
    status = read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["step"], status["total_steps"]) == ("done", 7, 30)
    assert status["reason"] == "trainer.max_minutes=3.5 is reached"
    assert "done at step 7 of 30 (trainer.max_minutes=3.5 is reached)" in str(read_state(tmp_path))
    assert (tmp_path / "checkpoints/best_accuracy.pdparams").is_file()
    (warning,) = [line for line in caplog.messages if "at the present speed" in line]
    assert "near step 7 of 30" in warning and "trainer.max_steps=7" in warning
    (line,) = [line for line in caplog.messages if line.startswith("stopping early")]
    assert "step 7 of 30" in line and "resume with a larger trainer.max_minutes" in line


def test_a_resumed_run_counts_on_and_ends_at_once_where_the_time_is_over(
    tmp_path: Path, slow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    whole = make_trainer(tmp_path / "whole", loader=slow())
    whole.fit()
    make_trainer(tmp_path / "cut", loader=slow(), max_minutes=2).fit()

    def resumed(**settings: Any) -> Any:
        made = make_trainer(tmp_path / "cut", loader=slow(), **settings)
        made.restore(CheckpointStore(tmp_path / "cut").load_for_resume())
        caplog.clear()
        return made

    again = resumed(max_minutes=2)
    assert (again.fit().step, again.state.seconds) == (4, 4 * STEP)
    assert "trainer.max_minutes=2 is reached; resume with a larger" in caplog.text
    more = resumed(max_minutes=4)
    assert more.fit().step == 8
    end = resumed(max_minutes=None)
    result = end.fit()
    assert (result.state, result.step) == ("done", 12)
    assert_same(weights(whole), weights(end))
    status = read_status(tmp_path / "cut")
    assert status is not None
    assert status["reason"] is None


def test_a_run_that_fits_is_not_told_of_it(tmp_path: Path, slow: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert make_trainer(tmp_path, loader=slow(), max_minutes=6.1, log_every_steps=1).fit().step == 12
    assert "max_minutes" not in caplog.text


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_what_cannot_be_is_one_line(value: float) -> None:
    with pytest.raises(ValueError, match="max_minutes: expected a number of minutes above 0"):
        TrainerSettings(max_minutes=value)


def test_it_alone_gives_the_schedule_no_length() -> None:
    with pytest.raises(ValueError, match=r"max_epochs, max_steps: both are null.*schedule"):
        TrainerSettings(max_epochs=None, max_minutes=5)


def test_several_processes_stop_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose clock is behind stops with the others."""
    asked = []

    def all_agree(*flags: bool) -> list[bool]:
        asked.append(flags)
        return [False]

    monkeypatch.setattr(distributed, "all_agree", all_agree)
    settings = TrainerSettings(max_minutes=1, max_epochs=2)
    policy = Policy(settings, RunPlan.make(settings, 6), pretrained=False)
    policy.check_time(TrainState(step=3), 59.0)
    assert asked == [(True,)]
    assert policy.over(TrainState(step=3))
    assert not TimeBudget(TrainerSettings()).spent(1e9)
    assert len(asked) == 1
