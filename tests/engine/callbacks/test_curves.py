"""Curves are drawn after evaluations and at the end, once for each state of metrics.csv."""

from types import SimpleNamespace

import pytest

from ocrexp.engine.callbacks.curves import Curves
from ocrexp.report import curves


@pytest.fixture
def drawings(monkeypatch):
    """How often each file of values was drawn."""
    drawn = []
    monkeypatch.setattr(curves, "plot_results", lambda values, path, title: drawn.append(values.read_text()))
    monkeypatch.setattr(curves, "plot_run", lambda values, folder, title: ["loss.png"])
    return drawn


def test_the_same_values_are_drawn_once(tmp_path, drawings):
    run, callback = SimpleNamespace(run_dir=tmp_path), Curves()
    (tmp_path / "metrics.csv").write_text("step,train/loss\n1,0.5\n")
    callback.on_evaluation_end(run, None, False)
    callback.on_fit_end(run, "done")
    assert drawings == ["step,train/loss\n1,0.5\n"]
    (tmp_path / "metrics.csv").write_text("step,train/loss\n1,0.5\n2,0.25\n")
    callback.on_fit_end(run, "done")
    assert len(drawings) == 2
