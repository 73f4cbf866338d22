"""How long a run is, and what its settings may not say."""

from typing import Any

import pytest

from ocrexp.engine.settings import RunPlan, TrainerSettings


@pytest.mark.parametrize(
    ("settings", "batches", "steps_per_epoch", "total"),
    [
        ({"max_epochs": 3}, 10, 10, 30),
        ({"max_epochs": 3, "accumulate": 4}, 10, 3, 9),
        ({"max_epochs": 3, "limit_train_batches": 4}, 10, 4, 12),
        ({"max_epochs": None, "max_steps": 7}, 10, 10, 7),
        ({"max_epochs": 2, "max_steps": 700}, 10, 10, 20),
        ({"max_steps": 5}, 10, 10, 5),
    ],
)
def test_plan(settings: dict[str, Any], batches: int, steps_per_epoch: int, total: int) -> None:
    plan = RunPlan.make(TrainerSettings(**settings), batches)
    assert (plan.steps_per_epoch, plan.total_steps) == (steps_per_epoch, total)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_epochs": 2, "eval_every_epochs": 3}, "eval_every_epochs=3: longer than the run of 2 epochs"),
        ({"max_epochs": 2, "eval_every_steps": 21}, "eval_every_steps=21: longer than the run of 20 steps"),
        ({"max_steps": 5, "eval_every_epochs": 2}, "eval_every_epochs=2: longer than the run of 1 epochs"),
        ({"max_epochs": 2, "eval_start_epoch": 3}, "eval_start_epoch"),
        ({"max_epochs": None}, "set one"),
        ({"precision": "fp16"}, "expected one of fp32, amp_o1, amp_o2"),
        ({"accumulate": 0}, "accumulate: expected .* got 0"),
        ({"ema_decay": 1.5}, "between 0 and 1"),
        ({"device": "cuda"}, "device: expected auto, cpu, gpu or gpu:N, got cuda"),
        ({"nonfinite": "ignore"}, "stop, skip"),
    ],
)
def test_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        RunPlan.make(TrainerSettings(**settings), 10)
    assert "\n" not in str(caught.value)


def test_metric_during_train_is_a_switch_or_a_number() -> None:
    assert TrainerSettings().metric_during_train is False
    assert TrainerSettings(metric_during_train=True).metric_during_train is True
    with pytest.raises(ValueError, match=r"metric_during_train: expected .* got 0"):
        TrainerSettings(metric_during_train=0)


def test_an_empty_loader_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lower the batch size"):
        RunPlan.make(TrainerSettings(), 0)
