"""What a run takes back of a checkpoint whose sums agree, but whose writer put other values there."""

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.engine.callbacks.early_stopping import EarlyStopping
from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.saving import RunIdentity, Saver
from ocrexp.engine.settings import TrainerSettings
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import Stepper
from ocrexp.errors import CheckpointError
from ocrexp.loggers.group import LoggerGroup
from ocrexp.optim.ema import WeightAverage


@pytest.fixture
def saver(tmp_path: Path) -> Saver:
    model = paddle.nn.Linear(2, 3)
    optimizer = paddle.optimizer.Adam(parameters=model.parameters())
    model(paddle.ones([1, 2])).sum().backward()
    optimizer.step()
    stepper = Stepper(model, lambda outputs, batch: outputs, optimizer, TrainerSettings())
    callbacks = {"early_stopping": EarlyStopping(3)}
    identity = RunIdentity(0, 1, 4, {"labels": "0"})
    average = WeightAverage(model, 0.9)
    return Saver(CheckpointStore(tmp_path), model, stepper, average, callbacks, LoggerGroup({}), identity, {})


def changed(saver: Saver, **values: Any) -> None:
    """Save a set of which some states have these values."""
    saver.save("latest", TrainState(step=3))
    found = saver.store.load("latest")
    assert found is not None
    weights, optimizer = (paddle.load(str(found.path(suffix))) for suffix in ("pdparams", "pdopt"))
    own = {key: value for key, value in found.states.items() if key not in ("serial", "files")}
    saver.store.save("latest", weights, optimizer, {**own, **values})


@pytest.mark.parametrize(
    "values",
    [
        {"loggers": -0.5}, {"loggers": None}, {"parameter_names": np.zeros((0, 3))}, {"parameter_names": {}},
        {"parameter_names": "abc"}, {"train_state": []}, {"train_state": {"step": "3"}}, {"callbacks": 3},
        {"callbacks": {"early_stopping": {}}}, {"callbacks": {"early_stopping": [1]}}, {"fingerprints": 3},
        {"fingerprints": {"labels": "1"}}, {"average": {}}, {"average": 3},
        {"average": {"weight": np.full([2, 3], np.nan, np.float32), "bias": np.zeros([3], np.float32)}},
        {"average": {"weight": np.zeros([3, 2], np.float32), "bias": np.zeros([3], np.float32)}},
    ],
)  # fmt: skip
def test_states_of_another_kind_are_one_line(saver: Saver, values: dict[str, Any]) -> None:
    changed(saver)
    found = saver.store.load("latest")
    assert found is not None
    assert saver.restore(found)[0].step == 3
    changed(saver, **values)
    found = saver.store.load("latest")
    assert found is not None
    with pytest.raises(CheckpointError) as error:
        saver.restore(found)
    assert "\n" not in str(error.value)
    assert any(advice in str(error.value) for advice in ("start a new run", "use another checkpoint", "use an earlier"))
