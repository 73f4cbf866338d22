"""What is said about a slow loader, memory and empty targets."""

import numpy as np
import pytest

from ocrexp.engine.health import EmptyTargets, LoaderWatch, LossWatch, out_of_memory, out_of_memory_error
from ocrexp.tasks.find import find_task


def _watch(workers: int, cores: int, monkeypatch: pytest.MonkeyPatch) -> LoaderWatch:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(cores))
    return LoaderWatch(workers)


def test_a_starving_loader_is_named_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    watch = _watch(2, 16, monkeypatch)
    watch.add(10, 50.0, 60.0)  # starting up is not starving
    watch.add(10, 10.0, 20.0)
    assert not caplog.records
    for _ in range(5):
        watch.add(10, 50.0, 60.0)
    assert len(caplog.records) == 1
    assert "loader.num_workers=2; try loader.num_workers=" in caplog.text
    assert "16 cores" in caplog.text


def test_advice_never_exceeds_the_cores(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    watch = _watch(4, 4, monkeypatch)
    for _ in range(4):
        watch.add(10, 9.0, 10.0)
    assert "the maximum for this machine's 4 cores" in caplog.text


def test_a_loader_that_keeps_up_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = _watch(2, 16, monkeypatch)
    for _ in range(20):
        watch.add(10, 2.0, 10.0)
    assert not caplog.records


def test_out_of_memory() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("std::bad_alloc"))
    assert not out_of_memory(ValueError("shape"))
    assert "loader.batch_size=4 trainer.accumulate=4" in str(out_of_memory_error(3, 8, 2))
    assert "amp_o1" in str(out_of_memory_error(3, 1, 1))


def test_share_of_empty_targets() -> None:
    empty = EmptyTargets(find_task("det").learnable)
    assert empty.share is None
    maps = np.zeros((4, 8, 8), np.uint8)
    maps[2, 3, 3] = 1
    empty.add({"shrink_map": maps})
    assert empty.share == 0.75
    texts = EmptyTargets(find_task("rec").learnable)
    texts.add({"length": np.array([0, 3, 2, 1])})
    assert texts.share == 0.25


def test_a_loss_that_grows_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = LossWatch()
    for step, loss in enumerate((46.0, 30.0, 46.0, 80.0)):
        watch.add(loss, step, 0.1)
    assert not caplog.text
    for step, loss in enumerate((1706.0, 2000.0), 50):
        watch.add(loss, step, 0.1)
    assert caplog.text.count("the loss has grown from 30 to 1706 at step 50 with lr 0.1") == 1
    assert len(caplog.records) == 1
    early = LossWatch()
    for loss in (5.0, 0.001, 0.5):  # a small loss that jitters
        early.add(loss, 1, 0.1)
    assert len(caplog.records) == 1
