"""Every image counts once, in order, unreadable ones as empty; the model is left as it was."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from standins import Closeness, FakeEvalLoader, Net, make_batch, read_value

from ocrexp.engine.evaluator import EvaluationStopped, Evaluator
from ocrexp.results import DetPrediction


def test_each_image_once_and_in_order_though_threads_finish_out_of_order() -> None:
    model = Net()
    model.eval()
    expected = [float(model(_tensor(1000 + i))["value"][0, 0]) for i in range(9)]
    model.train()
    threads = set()

    def slow(outputs: dict[str, Any], batch: Any) -> list[float]:
        threads.add(threading.current_thread().name)
        time.sleep(0.03 if batch["paths"][0] in ("image_0.jpg", "image_3.jpg") else 0)
        return read_value(outputs, batch)

    metric = Closeness()
    result = Evaluator(FakeEvalLoader(9), slow, metric, keep_samples=4).run(model)
    assert result.images == 9
    assert [prediction for prediction, _ in metric.seen] == pytest.approx(expected, abs=1e-6)
    assert [sample.path for sample in result.samples] == [f"image_{i}.jpg" for i in range(4)]
    assert model.training
    assert all(name.startswith("postprocess") for name in threads)


def _tensor(index: int) -> Any:
    import paddle

    return paddle.to_tensor(make_batch([index])["image"])


def test_an_unreadable_image_counts_as_nothing_found() -> None:
    metric = Closeness()
    result = Evaluator(FakeEvalLoader(4, unreadable=(1,)), read_value, metric).run(Net())
    assert result.unreadable == ["image_1.jpg"]
    assert result.images == 4
    assert metric.seen[1][0] == DetPrediction([], [])


def test_limit_and_stop() -> None:
    model = Net()
    assert Evaluator(FakeEvalLoader(9), read_value, Closeness(), limit_batches=2).run(model).images == 4
    seen = []
    with pytest.raises(EvaluationStopped):
        Evaluator(FakeEvalLoader(9), read_value, Closeness()).run(model, lambda: seen.append(1) or len(seen) > 3)
    assert model.training


def test_an_error_of_the_postprocess_comes_out_and_the_mode_is_restored() -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("bad map")

    model = Net()
    with pytest.raises(ValueError, match="bad map"):
        Evaluator(FakeEvalLoader(9), broken, Closeness()).run(model)
    assert model.training


def test_two_runs_are_equal_and_one_in_eval_mode_stays_so() -> None:
    model = Net()
    model.eval()
    evaluator = Evaluator(FakeEvalLoader(6), read_value, Closeness())
    first, second = evaluator.run(model), evaluator.run(model)
    assert first.metrics == second.metrics
    assert not model.training
    assert np.isfinite(first.seconds)


def test_each_forward_pass_runs_in_the_precision_of_training() -> None:
    inside, seen = [], []

    @contextmanager
    def precision() -> Iterator[None]:
        inside.append(True)
        yield
        inside.pop()

    model = Net()
    model.register_forward_pre_hook(lambda *_: seen.append(bool(inside)))
    Evaluator(FakeEvalLoader(4), read_value, Closeness()).run(model)
    assert seen == [False] * 4
    Evaluator(FakeEvalLoader(4), read_value, Closeness()).run(model, precision=precision)
    assert seen[4:] == [True] * 4
