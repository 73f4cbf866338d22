"""Reshape, expand, reshape becomes one operator with equal results, and only where that is what they are."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from ocrexp.export.onnx_graph import tidy  # noqa: E402
from ocrexp.export.onnx_upsample import restore_upsampling  # noqa: E402

helper, numpy_helper = onnx.helper, onnx.numpy_helper


def enlarging(factors: tuple[int, int] = (2, 2), *, also_read: bool = False):
    """A model [N, 3, H, W] → [N, 3, H·a, W·b], with H and W taken from the input as paddle2onnx does."""
    constants = {
        "zero": [0], "one": [1], "minus": [-1], "three": [3], "a": [factors[0]], "b": [factors[1]],
        "i2": [2], "i3": [3], "i4": [4],
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["size"]),
        node("Slice", ["size", "i2", "i3"], ["h"]),
        node("Slice", ["size", "i3", "i4"], ["w"]),
        node("Concat", ["zero", "zero", "h", "one", "w", "one"], ["apart"], axis=0),
        node("Reshape", ["x", "apart"], ["r"]),
        node("Shape", ["r"], ["there"]),
        node("Concat", ["one", "one", "h", "a", "w", "b"], ["wanted"], axis=0),
        node("Max", ["there", "wanted"], ["grown"]),
        node("Expand", ["r", "grown"], ["e"]),
        node("Mul", ["h", "a"], ["ha"]),
        node("Mul", ["w", "b"], ["wb"]),
        node("Concat", ["zero", "three", "ha", "wb"], ["target"], axis=0),
        node("Reshape", ["e", "target"], ["y"]),
    ]
    outputs = [helper.make_tensor_value_info("y", 1, ["n", 3, "H", "W"])]
    if also_read:
        nodes.append(node("ReduceMax", ["e"], ["z"], keepdims=0))
        outputs.append(helper.make_tensor_value_info("z", 1, []))
    weights = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("x", 1, ["n", 3, "h_", "w_"])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("factor", [2, 8])
def test_it_becomes_one_operator(factor: int) -> None:
    model = enlarging((factor, factor))
    x = np.random.default_rng(0).random((2, 3, 5, 7), dtype=np.float32)
    before = run(model, x)
    assert restore_upsampling(model) == 1
    tidy(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Resize"]
    np.testing.assert_array_equal(run(model, x), before)
    assert before.shape == (2, 3, 5 * factor, 7 * factor)


def test_others_stay() -> None:
    for model in (enlarging((2, 3)), enlarging((1, 1)), enlarging(also_read=True)):
        assert restore_upsampling(model) == 0
