"""An export in 8-bit integers of a run, judged beside the float one and a baseline."""

import numpy as np
import pytest

from ocrexp.assemble import assemble
from ocrexp.compress import static
from ocrexp.compress.judged_export import compress_and_judge
from ocrexp.compress.settings import Compression
from ocrexp.config.frozen import read_frozen
from ocrexp.deploy.backends.opening import open_backend
from ocrexp.deploy.folder import ModelFolder
from ocrexp.export.trained import Trained


@pytest.fixture
def judged(exported, tmp_path):
    """`judged(max_drop)`: the verdict on the recognizer in integers, written into `tmp_path`."""
    run = exported.folder / "rec"
    trained = Trained(assemble(read_frozen(run), weights=run / "checkpoints" / "best_accuracy.pdparams"))
    folder = run / "inference"
    opened = ModelFolder.open(folder)

    def judge(max_drop):
        asked = Compression(True, 3, opened, max_drop, 2)
        return compress_and_judge(trained, opened.description, tmp_path, {"onnx": folder}, asked)

    return judge


def test_integers_are_an_export_of_their_own_and_in_the_table(judged, tmp_path):
    verdict = judged(1.0)
    assert verdict.failures == []
    assert [line.split()[0] for line in verdict.lines] == ["network", "baseline", "float", "int8"]
    rows = {row["name"]: row for row in verdict.report["networks"]}
    assert rows["int8"]["megabytes"] < 0.7 * rows["float"]["megabytes"]  # an LSTM stays as it is
    assert rows["float"]["gmacs"] > 0
    backend = open_backend(tmp_path / "int8")  # checks the sum of the file
    assert np.isfinite(backend.run(np.zeros((1, 3, 32, 64), np.float32))).all()
    assert ModelFolder.open(tmp_path / "int8").description.ocrexp["int8"]["in_float"] == 0


def test_layers_go_back_to_float_until_the_metric_holds(judged, monkeypatch):
    seen = []

    def metric(trained, samples, model):
        seen.append(sum(node.op_type == "QuantizeLinear" for node in model.graph.node))
        return 1.0 if len(seen) in (1, 4) else 0.5  # the float network, and the third attempt

    monkeypatch.setattr(static, "_metric", metric)
    verdict = judged(0.1)
    assert verdict.report["int8"]["in_float"] == 2
    assert seen[1] >= seen[2] >= seen[3] > 0
