"""Groups of offsets, which paddle2onnx leaves out, give paddle's results in onnxruntime."""

import numpy as np
import paddle
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from ocrexp.export.onnx_deform import restore_offset_groups  # noqa: E402
from ocrexp.models.deformable import DeformableConv2D  # noqa: E402

helper, numpy_helper = onnx.helper, onnx.numpy_helper


def converted(layer: DeformableConv2D, taps: int):
    """The layer as paddle2onnx writes it (without the activation of its weights: `mask` is a slice)."""
    weights = {
        "moving": layer.conv_offset.weight.numpy(),
        "bias": layer.conv_offset.bias.numpy(),
        "kernel": layer.conv_dcn.weight.numpy(),
        "zero": np.array([0]), "middle": np.array([2 * taps]), "end": np.array([3 * taps]), "axis": np.array([1]),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "moving", "bias"], ["moved"], pads=[1] * 4),
        node("Slice", ["moved", "zero", "middle", "axis"], ["offset"]),
        node("Slice", ["moved", "middle", "end", "axis"], ["logits"]),
        node("Sigmoid", ["logits"], ["mask"]),
        node("DeformConv", ["x", "kernel", "offset", "", "mask"], ["y"], pads=[1] * 4, group=1),
    ]
    inputs = [helper.make_tensor_value_info("x", 1, ["n", 4, "h", "w"])]
    outputs = [helper.make_tensor_value_info("y", 1, ["n", 6, "h", "w"])]
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.mark.parametrize("groups", [1, 2])
def test_offsets_in_groups(groups: int) -> None:
    paddle.seed(0)
    layer = DeformableConv2D(4, 6, 3, groups=groups)
    layer.conv_offset.weight.set_value(paddle.randn(layer.conv_offset.weight.shape) * 0.3)
    model = converted(layer, 9 * groups)
    assert restore_offset_groups(model) == groups - 1
    assert restore_offset_groups(model) == 0
    x = np.random.default_rng(0).random((2, 4, 7, 9), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with paddle.no_grad():
        expected = layer(paddle.to_tensor(x)).numpy()
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, atol=1e-5)
