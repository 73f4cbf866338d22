"""Parts that are frozen for the first steps: nothing of them moves before; a resume across the switch is exact."""

import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standins import FakeLoader, Net, Recorder, assert_same, make_trainer, weights
from test_trainer import At

from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.thaw import Thaw
from ocrexp.models.freezing import freeze
from ocrexp.optim.optimizers import Adadelta, Adam, AdamW, Momentum, RMSProp

PARTS = ("conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm._mean", "norm._variance")


def _kept(at: dict[int, dict[str, np.ndarray]], *steps: int) -> dict[str, At]:
    return {str(step): At(step, lambda run, step=step: at.update({step: weights(run)})) for step in steps}


def test_nothing_of_a_part_moves_before_the_step_and_all_of_it_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Weights and running statistics; until then it is a run with the part frozen for good."""
    caplog.set_level(logging.INFO)
    at: dict[int, dict[str, np.ndarray]] = {}
    frozen = {"frozen": ["conv", "norm"], "log_every_steps": 1}
    trainer = make_trainer(tmp_path / "thaw", unfreeze=5, callbacks=_kept(at, 5, 6), **frozen)
    start = weights(trainer)
    trainer.fit()
    never: dict[int, dict[str, np.ndarray]] = {}
    make_trainer(tmp_path / "never", callbacks=_kept(never, 5, 6), **frozen).fit()
    assert_same(at[5], never[5])
    for name in PARTS:
        assert np.array_equal(at[5][name], start[name]), name
        assert not np.array_equal(at[6][name], start[name]), name
    assert not np.array_equal(at[5]["fc.weight"], start["fc.weight"])
    line = f"from step 5 on, conv, norm learns too; the learning rate is {trainer._schedule(5):.3g}"
    assert caplog.messages.count(line) == 1


def test_the_optimizer_s_state_of_the_part_begins_at_the_step(tmp_path: Path) -> None:
    """The first step of Adam is lr in every weight that has a gradient, whatever the number of steps before it."""
    at: dict[int, dict[str, np.ndarray]] = {}
    trainer = make_trainer(
        tmp_path, model=Net(False, 0.0), frozen=["conv"], unfreeze=8, callbacks=_kept(at, 8, 9), log_every_steps=1
    )
    trainer.fit()
    moved = np.abs(at[9]["conv.weight"] - at[8]["conv.weight"])
    np.testing.assert_allclose(moved, trainer._schedule(8), rtol=1e-3)


@pytest.mark.parametrize(
    ("optimizer", "stop"),
    [(Adam(), 3), (Adam(), 4), (Adam(), 7), (AdamW(), 4), (Momentum(), 4), (RMSProp(), 4), (Adadelta(), 4)],
)
def test_a_resume_across_the_switch_is_exact(tmp_path: Path, optimizer: Any, stop: int) -> None:
    """Stopped before, at and after it; with accumulation, an average, clipping and rates of parts."""

    def trainer(name: str, **more: Any) -> Any:
        return make_trainer(
            tmp_path / name, loader=FakeLoader(24, 2), accumulate=2, ema_decay=0.8, log_every_steps=1, clip_norm=0.5,
            frozen=["conv", "norm"], unfreeze=5, optimizer=optimizer, rates={"conv": 0.1, "fc": 2.0}, max_steps=9,
            **more,
        )  # fmt: skip

    whole = trainer("whole")
    whole.fit()
    halt = At(stop, lambda run: os.kill(os.getpid(), signal.SIGTERM))
    assert trainer("cut", callbacks={"stop": halt}).fit().state == "interrupted"
    on = trainer("cut")
    on.restore(CheckpointStore(tmp_path / "cut").load_for_resume())
    assert on.step == stop + 1  # the signal ends the step that follows
    assert on.fit().state == "done"
    assert_same(weights(whole), weights(on))
    assert on.state.best_metrics == whole.state.best_metrics


def test_the_rates_of_parts_are_logged(tmp_path: Path) -> None:
    recorder = Recorder()
    make_trainer(tmp_path, logger=recorder, rates={"conv": 0.1}, max_epochs=1).fit()
    for _, values in recorder.values:
        if "train/lr" in values:
            assert values["train/lr/conv"] == pytest.approx(0.1 * values["train/lr"])
            assert "train/lr/fc" not in values


@pytest.mark.parametrize("after", [0, -1, 2.5, True, "soon"])
def test_a_number_that_cannot_be_is_one_line(after: Any) -> None:
    with pytest.raises(ValueError, match="unfreeze_after_steps: expected a whole number, 1 or more, or null"):
        Thaw.checked(after, freeze(Net(), ["conv"]))


def test_without_frozen_parts_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"freeze is empty.*set freeze=\[backbone\]"):
        Thaw.checked(100, None)


def test_thawing_gives_back_what_was() -> None:
    """A norm that always uses its statistics, and a parameter that never learns, stay so."""
    model = Net()
    model.norm._use_global_stats = True
    model.conv.bias.stop_gradient = True
    frozen = freeze(model, ["conv", "norm", "conv"])
    assert all(parameter.stop_gradient for parameter in [*model.conv.parameters(), *model.norm.parameters()])
    frozen.thaw()
    learns = {name for name, parameter in model.named_parameters() if not parameter.stop_gradient}
    assert learns == {"conv.weight", "norm.weight", "norm.bias", "fc.weight", "fc.bias"}
    assert model.norm._use_global_stats is True
