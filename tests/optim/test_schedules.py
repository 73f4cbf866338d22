"""Rates against PaddleOCR's recorded sequences, and where ours are meant to differ."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.optim import schedules

AS_RECORDED = {"warmup_start": 0.0, "warmup_extends": True}

# case -> our class and its arguments
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "Const": (schedules.Constant, {}),
    "Const.warmup": (schedules.Constant, {"warmup_epochs": 2, **AS_RECORDED}),
    "Linear": (schedules.Linear, {"end_lr": 1e-5}),
    "Linear.power2": (schedules.Polynomial, {"power": 2.0}),
    "Linear.warmup": (schedules.Linear, {"warmup_epochs": 3, **AS_RECORDED}),
    "Cosine": (schedules.Cosine, {}),
    "Cosine.warmup": (schedules.Cosine, {"warmup_epochs": 5, **AS_RECORDED}),
    "LinearWarmupCosine": (
        schedules.Cosine,
        {"warmup_steps": 40, "warmup_start": 0.02, "warmup_extends": True, "end_lr": 1e-8},
    ),
    "Step": (schedules.Step, {"step_size": 4, "gamma": 0.5}),
    "Step.warmup": (schedules.Step, {"step_size": 4, "gamma": 0.1, "warmup_epochs": 2, **AS_RECORDED}),
    "Piecewise": (schedules.Piecewise, {"decay_epochs": [5, 12], "factors": [1, 0.3, 0.1]}),
    "Piecewise.warmup": (
        schedules.Piecewise,
        {"decay_epochs": [5, 12], "factors": [1, 0.3, 0.1], "warmup_epochs": 3, **AS_RECORDED},
    ),
    "Piecewise.pp_ocr_style": (
        schedules.Piecewise,
        {"decay_epochs": [14], "factors": [1, 0.1], "warmup_epochs": 5, **AS_RECORDED},
    ),
    "MultiStepDecay": (schedules.MultiStep, {"milestones": [4, 9, 15], "gamma": 0.3}),
    "MultiStepDecay.warmup": (
        schedules.MultiStep,
        {"milestones": [4, 9, 15], "gamma": 0.3, "warmup_epochs": 1, **AS_RECORDED},
    ),
    "CyclicalCosine": (schedules.CyclicalCosine, {"cycle": 4}),
    "CyclicalCosine.warmup": (schedules.CyclicalCosine, {"cycle": 5, "warmup_epochs": 2, **AS_RECORDED}),
    "OneCycle": (schedules.OneCycle, {}),
    "OneCycle.linear": (schedules.OneCycle, {"anneal_strategy": "linear"}),
    "OneCycle.three_phase": (schedules.OneCycle, {"three_phase": True}),
    "DecayLearningRate": (schedules.Polynomial, {"power": 0.9}),
}
# Not compared: `*.past_end`, `Cosine.warmup_fraction` after its end (ours keep the last rate), `OneCycle.warmup` (rises
# twice), `TwoStepCosine*` (its first phase is 200 epochs whatever the run; not offered).


@pytest.fixture(scope="module")
def recorded(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    cases = json.loads((golden / "optim/lr_schedules.json").read_text())["cases"]
    with np.load(golden / "optim/lr_schedules.npz") as arrays:
        return cases, dict(arrays)


@pytest.mark.parametrize("case", CASES)
def test_equals_the_recorded_rates(case: str, recorded: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    cases, arrays = recorded
    about, expected = cases[case], arrays[case]
    config = about["config"]
    cls, arguments = CASES[case]
    lr = config.get("learning_rate", config.get("max_lr")) or config["values"][0]
    schedule = cls(
        lr=lr, total_steps=about["epochs"] * about["step_each_epoch"], steps_per_epoch=about["step_each_epoch"],
        **arguments,
    )  # fmt: skip
    rates = [schedule(step) for step in range(len(expected))]
    np.testing.assert_allclose(rates, expected, rtol=0, atol=1e-12)


def test_a_fraction_of_an_epoch_rounds_as_recorded(recorded: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    schedule = schedules.Cosine(lr=5e-4, total_steps=140, steps_per_epoch=7, warmup_epochs=0.25, **AS_RECORDED)
    expected = recorded[1]["Cosine.warmup_fraction"]
    np.testing.assert_allclose([schedule(step) for step in range(142)], expected[:142], rtol=0, atol=1e-12)


def test_past_its_end_a_cosine_stays_down_where_the_recorded_one_rises() -> None:
    schedule = schedules.Cosine(lr=1e-3, total_steps=100, steps_per_epoch=5, end_lr=1e-6)
    assert [schedule(step) for step in (100, 150, 199)] == [1e-6] * 3


RUN = {"lr": 1.0, "total_steps": 100, "steps_per_epoch": 10}


@pytest.mark.parametrize("cls", [schedules.Cosine, schedules.Linear, schedules.Polynomial])
def test_warmup_is_part_of_the_run(cls: Any) -> None:
    """By default the decay ends with the run, whatever the warm-up, and no step has rate 0."""
    plain, warm = cls(**RUN), cls(**RUN, warmup_epochs=2)
    assert warm(0) == pytest.approx(1 / 20)
    assert warm(19) == warm(20) == pytest.approx(1.0)
    assert warm(100) == plain(100) == 0.0
    assert 0 < warm(99) < 0.02
    assert max(warm(step) for step in range(100)) == pytest.approx(1.0)


def test_warmup_does_not_move_boundaries_given_in_epochs() -> None:
    schedule = schedules.Step(**RUN, step_size=5, gamma=0.1, warmup_epochs=2)
    assert schedule(49) == pytest.approx(1.0)
    assert schedule(50) == pytest.approx(0.1)


def test_warmup_start_is_the_share_of_the_first_step() -> None:
    schedule = schedules.Constant(**RUN, warmup_steps=10, warmup_start=0.1)
    assert schedule(0) == pytest.approx(0.1)
    assert schedule(5) == pytest.approx(0.55)
    assert schedule(10) == 1.0


def test_one_cycle_ends_low_and_stays_there() -> None:
    schedule = schedules.OneCycle(**RUN)
    peak = max(range(100), key=schedule)
    assert schedule(peak) == pytest.approx(1.0)
    assert peak == 29
    assert schedule(99) == schedule(1000) == pytest.approx(0.04 * 1e-4)
    assert all(math.isfinite(schedule(step)) for step in range(200))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (partial(schedules.Cosine, warmup_steps=3, warmup_epochs=1), "both"),
        (
            partial(schedules.Piecewise, decay_epochs=[1, 2], factors=[1, 0.1]),
            "factors: expected 3 numbers, one more than decay_epochs, got 2",
        ),
        (partial(schedules.MultiStep, milestones=[3, 2]), "increasing"),
        (partial(schedules.OneCycle, anneal_strategy="cosine"), "cos or linear"),
        (partial(schedules.Step, step_size=0), "expected a number of epochs above 0|expected a number above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(**RUN)


def test_a_warmup_as_long_as_the_run_is_said_and_rises_throughout(caplog: pytest.LogCaptureFixture) -> None:
    schedule = schedules.Cosine(lr=1.0, total_steps=3, steps_per_epoch=10, warmup_epochs=1)
    assert [schedule(step) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert "as long as the run of 3" in caplog.text
