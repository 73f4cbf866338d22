"""When a run is asked to end."""

from types import SimpleNamespace
from typing import Any

import pytest

from ocrexp.engine.callbacks.early_stopping import EarlyStopping
from ocrexp.results import EvalResult


def _evaluations(callback: EarlyStopping, *values: float) -> list[str]:
    reasons: list[str] = []
    run: Any = SimpleNamespace(main_metric="hmean", request_stop=reasons.append)
    for value in values:
        callback.on_evaluation_end(run, EvalResult({"hmean": value}, [], 1, 0.1), is_best=False)
    return reasons


def test_patience_counts_evaluations_without_a_better_one() -> None:
    assert not _evaluations(EarlyStopping(patience=2), 0.1, 0.1, 0.2, 0.2)
    assert _evaluations(EarlyStopping(patience=2), 0.1, 0.1, 0.2, 0.2, 0.1) == [
        "hmean has not passed 0.2000 by 0 in 2 evaluations"
    ]


def test_small_gains_do_not_count() -> None:
    assert _evaluations(EarlyStopping(patience=2, min_delta=0.05), 0.5, 0.52, 0.54)
    assert not _evaluations(EarlyStopping(patience=2, min_delta=0.05), 0.5, 0.52, 0.56, 0.58)


def test_the_count_outlives_a_resume() -> None:
    first = EarlyStopping(patience=2)
    _evaluations(first, 0.5, 0.4)
    second = EarlyStopping(patience=2)
    second.load_state_dict(first.state_dict())
    assert _evaluations(second, 0.5)


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="patience: expected 1 or more"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="min_delta"):
        EarlyStopping(min_delta=-1)
