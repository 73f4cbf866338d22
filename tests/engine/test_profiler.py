"""debug=profiler: a trace of some steps that a browser opens, and the end of the run."""

import json

import pytest

from ocrexp.engine.callbacks.profiler import Profiler


class Run:
    """What the callback sees of a run."""

    def __init__(self, run_dir):
        self.run_dir = run_dir
        self.reason = None

    def request_stop(self, reason):
        self.reason = reason


def steps(profiler, run, count):
    import paddle

    weight = paddle.ones([8, 8])
    profiler.on_fit_start(run)
    for _ in range(count):
        paddle.matmul(weight, weight)
        profiler.on_step_end(run, {})
        if run.reason:
            break
    profiler.on_fit_end(run, "done")


@pytest.mark.parametrize("count", [20, 3], ids=["full", "a run that ends earlier"])
def test_the_trace_has_the_operators_and_the_run_ends(tmp_path, count):
    run = Run(tmp_path)
    steps(Profiler(steps=2, warmup=2), run, count)
    trace = json.loads((tmp_path / "profile" / "trace.json").read_text())
    assert any("matmul" in str(event.get("name")) for event in trace["traceEvents"])
    assert run.reason and [path.name for path in (tmp_path / "profile").iterdir()] == ["trace.json"]


def test_values_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="steps"):
        Profiler(steps=0)
