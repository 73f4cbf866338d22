"""A network in integers: what it gives, what it weighs, and which layers it is told to keep in float."""

import numpy as np
import pytest

from ocrexp.compress.int8 import QuantizedNetwork, session
from ocrexp.export.onnx_graph import shorten

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Three convolutions with ReLU between them; one channel into the middle one is a thousand times the others."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, weights, x = [], [], "x"
    for number, (channels_in, channels) in enumerate(((3, 24), (24, 24), (24, 4))):
        kernel = rng.normal(0, 0.3, (channels, channels_in, 3, 3)).astype(np.float32)
        if number == 0:
            kernel[0] *= 1000
        if number == 1:
            kernel[:, 0] = 0
        weights += [
            numpy_helper.from_array(kernel, f"w{number}"),
            numpy_helper.from_array(np.full(channels, 0.1, np.float32), f"b{number}"),
        ]
        nodes.append(helper.make_node("Conv", [x, f"w{number}", f"b{number}"], [f"c{number}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [x := f"y{number}"]))
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, "h", "w"])
        for name, count in (("x", 3), (x, 4))
    ]
    graph = helper.make_graph(nodes, "tiny", [shapes[0]], [shapes[1]], weights)
    path = tmp_path_factory.mktemp("int8") / "float.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    images = [rng.normal(0, 1, (1, 3, 24, 24)).astype(np.float32) for _ in range(3)]
    return path, images, QuantizedNetwork(path, images)


def outputs(model, image):
    return session(model.SerializeToString())(image)[0]


def test_weights_are_bytes_and_the_most_sensitive_layer_is_found_and_kept_in_float(network):
    path, images, quantized = network
    expected = outputs(onnx.load(str(path)), images[0])

    def error(model):
        return np.abs(outputs(model, images[0]) - expected).mean() / np.abs(expected).mean()

    everything = quantized.with_float([])
    kinds = {each.name: each.data_type for each in everything.graph.initializer if len(each.dims) == 4}
    assert set(kinds.values()) == {onnx.TensorProto.INT8}
    assert error(everything) > 0.5  # the range of one channel takes all steps of the others
    found = quantized.sensitivities(images[:1])
    assert list(found) == sorted(found, key=found.get, reverse=True)
    first = list(found)[:2]
    assert set(first) == set(quantized.layers[:2])  # the layers that give and take this range
    assert error(quantized.with_float(first)) < 0.1


def test_layers_in_float_differ_by_the_rounding_of_their_weights_alone(network):
    path, images, quantized = network
    assert len(quantized.layers) == 3
    back = quantized.with_float(quantized.layers)
    assert {each.data_type for each in back.graph.initializer if len(each.dims) == 4} == {onnx.TensorProto.INT8}
    assert sum(node.op_type == "QuantizeLinear" for node in back.graph.node) <= 1  # of the output
    expected = outputs(onnx.load(str(path)), images[1])
    assert np.abs(outputs(back, images[1]) - expected).mean() < 0.02 * np.abs(expected).mean()


def test_short_names_and_weights_stored_once_change_the_file_alone(network):
    _, images, quantized = network
    model = quantized.with_float([])
    expected, size = outputs(model, images[0]), model.ByteSize()
    copies = {each.name for each in model.graph.initializer if not any(each.dims)}
    shorten(model)
    onnx.checker.check_model(model)
    assert [each.name for each in (*model.graph.input, *model.graph.output)] == ["x", "y2"]
    np.testing.assert_array_equal(outputs(model, images[0]), expected)
    assert sum(not any(each.dims) for each in model.graph.initializer) < len(copies)
    assert model.ByteSize() < 0.85 * size
