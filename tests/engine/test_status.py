"""status.json: whole or not there, one line an error."""

import json
import math
from pathlib import Path

import pytest

from ocrexp.engine.callbacks.early_stopping import EarlyStopping
from ocrexp.engine.sealed import read_states, seal_states
from ocrexp.engine.state import TrainState
from ocrexp.engine.status import read_status, write_status
from ocrexp.errors import CheckpointError


def test_values_stay_until_they_change(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    write_status(tmp_path, state="running", step=3, best_value=0.5)
    write_status(tmp_path, state="failed", error="one\n  two")
    status = read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["step"], status["best_value"], status["error"]) == ("failed", 3, 0.5, "one two")
    write_status(tmp_path, state="running")
    status = read_status(tmp_path)
    assert status is not None
    assert status["error"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "runn')
    assert read_status(tmp_path) is None
    write_status(tmp_path, state="running")
    assert read_status(tmp_path) is not None


def test_values_of_other_types_count_as_not_written(tmp_path: Path) -> None:
    good = {"state": "done", "step": 3, "best_value": 0.5, "metrics": {"hmean": 0.5}, "error": None, "own": [1]}
    for key, value in (
        ("step", "3"), ("step", True), ("step", 10**30), ("best_value", "x"), ("best_value", math.nan),
        ("metrics", [1]), ("error", {"a": 1}), ("state", None), ("state", 3), ("seconds", math.inf), ("val_loss", []),
    ):  # fmt: skip
        (tmp_path / "status.json").write_text(json.dumps({**good, key: value}))
        assert read_status(tmp_path) == {name: item for name, item in good.items() if name != key}
    (tmp_path / "status.json").write_text(json.dumps(good))
    assert read_status(tmp_path) == good


def test_a_states_progress_of_other_types_is_refused() -> None:
    good = TrainState(step=3, best_value=0.5, best_step=2, best_metrics={"hmean": 0.5}).to_dict()
    assert TrainState.from_dict({**good, "of_another_version": 1}).to_dict() == good
    for key, value in (
        ("step", "3"), ("step", 2.0), ("step", True), ("step", -5), ("epoch", None), ("best_value", "x"),
        ("best_value", math.nan), ("best_metrics", {"hmean": "x"}), ("best_metrics", None), ("seconds", math.inf),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=key):
            TrainState.from_dict({**good, key: value})
    stopping = EarlyStopping(3)
    for state in ({"best": "x", "waited": 0}, {"best": 0.5, "waited": 1.5}, {"best": 0.5, "waited": -1}):
        with pytest.raises(ValueError, match="early_stopping"):
            stopping.load_state_dict(state)
    stopping.load_state_dict({"best": None, "waited": 2})
    assert stopping.state_dict() == {"best": None, "waited": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"extras": 3}, {"extras": {"charset": "abc"}}, {"extras": {"charset": {}}}, {"best_model_dict": [1]},
        {"extras": {"charset": {"characters": [1], "lower": False, "fingerprint": "x"}}},
        {"extras": {"charset": {"characters": ["a"], "lower": "no", "fingerprint": "x"}}}, {"global_step": "3"},
    ],
)  # fmt: skip
def test_states_whose_values_are_of_other_types_are_not_of_a_run(change: dict[str, object], tmp_path: Path) -> None:
    entry = {"sha256": "0", "bytes": 1}
    good = {"global_step": 3, "serial": 1, "files": {"pdparams": entry, "pdopt": entry}, "extras": {}}
    path = tmp_path / "latest.pdstates"
    path.write_bytes(seal_states(good))
    assert read_states(path)["global_step"] == 3
    path.write_bytes(seal_states({**good, **change}))
    with pytest.raises(CheckpointError, match=r"latest\.pdstates contains no states of a run"):
        read_states(path)
