"""A configuration as single values; calls on a thread of their own."""

import threading

import pytest
from logged_runs import CONFIG

from ocrexp.loggers.background import Background
from ocrexp.loggers.hyperparameters import hyperparameters


def test_nested_values_become_flat_and_places_are_skipped() -> None:
    assert hyperparameters({**CONFIG, "logger": {"csv": {"filename": "a"}}, "run_dir": "/r"}) == {
        "optim.lr": 0.001,
        "optim.lr_scale": "null",
        "model.backbone.scale": 0.5,
        "model.backbone.no_se": True,
        "dataset.root": "/data/发票 (1)",
        "augment": '[{"flip": 0.5}]',
    }


def test_calls_are_made_in_order_and_a_failure_is_raised_once() -> None:
    made: list[int] = []
    going, background = threading.Event(), Background("test")
    background.do(going.wait)
    for number in range(3):
        background.do(lambda number=number: made.append(number))
    assert made == [], "the caller does not wait"
    background.do(lambda: 1 / 0)
    background.do(lambda: made.append(9))
    going.set()
    with pytest.raises(ZeroDivisionError):
        background.close()
    assert made == [0, 1, 2], "nothing is called after a failure"
    background.close()
