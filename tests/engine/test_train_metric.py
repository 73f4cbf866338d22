"""`trainer.metric_during_train`: the metric on training batches, only where asked for, without a change of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standins import Closeness, FakeEvalLoader, Recorder, make_trainer, read_value, weights

from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.train_metric import TrainMetric
from ocrexp.errors import ConfigError
from ocrexp.types import Batch


class Reader:
    """A postprocess that also reads what a training step gives."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, outputs: dict[str, Any], batch: Batch) -> list[float]:
        return read_value(outputs, batch)

    def learned(self, outputs: dict[str, Any], batch: Batch) -> tuple[list[float], list[float]]:
        self.batches.append(np.asarray(batch["index"]).tolist())
        return outputs["value"][:, 0].tolist(), np.asarray(batch["target"]).tolist()


def trained(folder: Path, reader: Any, **settings: Any) -> tuple[dict[str, np.ndarray], list[set[str]]]:
    """Weights at the end, and the names of the values of each log line."""
    recorder = Recorder()
    evaluator = Evaluator(FakeEvalLoader(), reader, Closeness())
    trainer = make_trainer(folder, evaluator=evaluator, logger=recorder, log_every_steps=3, max_epochs=2, **settings)
    trainer.fit()
    return weights(trainer), [set(values) for _, values in recorder.values if "train/loss" in values]


def test_so_many_steps_before_each_log_line_are_measured(tmp_path: Path) -> None:
    off, one, two = Reader(), Reader(), Reader()
    plain, names_off = trained(tmp_path / "off", off)
    measured, names_one = trained(tmp_path / "one", one, metric_during_train=True)
    trained(tmp_path / "two", two, metric_during_train=2)
    assert (len(off.batches), len(one.batches), len(two.batches)) == (0, 4, 8)  # 12 steps, a line every 3
    assert all("train/closeness" in names for names in names_one)
    assert not any("train/closeness" in names for names in names_off)
    assert all((plain[name] == measured[name]).all() for name in plain), "measuring is not to change the training"


def test_a_postprocess_that_does_not_read_training_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.metric_during_train: function.*false"):
        trained(tmp_path, read_value, metric_during_train=1)


def test_values_are_those_of_the_last_interval_alone() -> None:
    import paddle

    measured = TrainMetric(Reader(), Closeness(), 1, 10)
    assert measured.take() == {}
    assert [step for step in range(25) if measured.wants(step)] == [9, 19]
    batch = {"index": paddle.to_tensor([0, 1]), "target": paddle.to_tensor([1.0, 2.0])}
    measured.add({"value": paddle.to_tensor([[1.0], [2.0]])}, batch)
    assert measured.take() == {"train/closeness": 1.0, "train/images": 2.0}
    assert measured.take() == {}
