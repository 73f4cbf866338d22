"""The reader of ONNX files: bad ones are refused in one line; the layers of good ones come in order."""

import numpy as np
import pytest

from ocrexp.errors import CheckpointError
from ocrexp.weights.deployed import read_deployed

onnx = pytest.importorskip("onnx")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto


def value(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def saved(path, nodes, weights, metadata=None, constants=False):
    """An ONNX file of nodes from x to y; the weights as initializers or as Constant nodes."""
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    if constants:
        nodes = [helper.make_node("Constant", [], [each.name], value=each) for each in tensors] + nodes
        tensors = []
    put = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "g", put[:1], put[1:], tensors))
    for key, text in (metadata or {}).items():
        model.metadata_props.add(key=key, value=text)
    onnx.save(model, str(path))
    return path


CONV = [helper.make_node("Conv", ["x", "w"], ["y"])]


@pytest.mark.parametrize("constants", [False, True])
def test_layers_come_in_order_with_their_biases(tmp_path, constants):
    weights = {
        "w": value(4, 3, 3, 3), "b": value(4), "shape": np.array([1, 4, 1, 1], np.int64),
        "gamma": value(4), "beta": value(4), "mean": value(4), "variance": value(4) ** 2,
        "half": np.array([0.5], np.float32), "scale": value(1), "shift": value(1, seed=1),
        "v": value(4, 5), "c": value(5), "g": value(5), "h": value(5), "t": value(2, 5),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["0"]),
        helper.make_node("Identity", ["0"], ["1"]),
        helper.make_node("Reshape", ["b", "shape"], ["b4"]),
        helper.make_node("Add", ["1", "b4"], ["2"]),
        helper.make_node("BatchNormalization", ["2", "gamma", "beta", "mean", "variance"], ["3"]),
        helper.make_node("Mul", ["3", "half"], ["4"]),  # arithmetic, no layer
        helper.make_node("Mul", ["scale", "4"], ["5"]),
        helper.make_node("Add", ["5", "shift"], ["6"]),
        helper.make_node("MatMul", ["6", "v"], ["7"]),
        helper.make_node("Add", ["c", "7"], ["8"]),
        helper.make_node("Mul", ["8", "g"], ["9"]),
        helper.make_node("Add", ["9", "h"], ["10"]),
        helper.make_node("Gemm", ["10", "t"], ["y"], transB=1),
    ]
    path = saved(tmp_path / "a.onnx", nodes, weights, {"character": "a\nb\r\n中\n"}, constants)
    read = read_deployed(path)
    kinds = ["conv", "bn", "lab", "linear", "layernorm", "linear"]
    assert [item.kind for item in read.items] == kinds
    assert read.characters == ("a", "b", "中")
    expected = [
        {"weight": "w", "bias": "b"},
        {"weight": "gamma", "bias": "beta", "mean": "mean", "variance": "variance"},
        {"scale": "scale", "bias": "shift"},
        {"weight": "v", "bias": "c"},
        {"weight": "g", "bias": "h"},
        {"weight": "t"},
    ]
    for item, names in zip(read.items, expected, strict=True):
        assert set(item.arrays) == set(names)
        for ours, theirs in names.items():
            stored = weights[theirs].T if theirs == "t" else weights[theirs]
            np.testing.assert_array_equal(item.arrays[ours], stored)


@pytest.mark.parametrize("zero", [0.0, 1.0])
def test_a_weight_is_found_through_the_copy_that_paddle2onnx_makes(tmp_path, zero):
    """Of one-dimensional convolutions: unsqueezed, a zero added, squeezed."""
    weights = {
        "w": value(4, 3, 5), "zero": np.array([zero], np.float32), "first": np.zeros(1, np.int64),
        "last": np.array([2], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Unsqueeze", ["w", "first"], ["0"]),
        helper.make_node("Add", ["0", "zero"], ["1"]),
        helper.make_node("Squeeze", ["1", "first"], ["2"]),
        helper.make_node("Unsqueeze", ["2", "last"], ["3"]),
        helper.make_node("Conv", ["x", "3"], ["y"]),
    ]
    items = read_deployed(saved(tmp_path / "a.onnx", nodes, weights)).items
    assert [item.shape for item in items] == ([(4, 3, 5)] if zero == 0 else [])


def test_both_ways_to_write_an_lstm(tmp_path):
    """ONNX's own: one tensor, gates in the order i, o, f, c; paddle2onnx's: pieces of paddle's, gates i, f, c, o."""
    w, r, b = value(2, 8, 3), value(2, 8, 2), value(2, 16)
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], direction="bidirectional", hidden_size=2)
    own = read_deployed(saved(tmp_path / "own.onnx", [lstm], {"w": w, "r": r, "b": b})).items[0]
    assert own.kind == "lstm"
    np.testing.assert_array_equal(own.arrays["weight_ih"][2:4], w[0, 4:6])  # forget
    np.testing.assert_array_equal(own.arrays["weight_ih_reverse"][6:], w[1, 2:4])  # output
    np.testing.assert_array_equal(own.arrays["bias_hh"][:2], b[0, 8:10])

    nodes, weights = [], {}
    for part, arrays in (("w", w), ("r", r), ("bi", b[:, :8]), ("bh", b[:, 8:])):
        weights |= {f"{part}0": arrays[0], f"{part}1": arrays[1]}
        nodes.append(helper.make_node("Concat", [f"{part}0", f"{part}1"], [f"{part}j"], axis=0))
    weights |= {"from": np.zeros(1, np.int64), "to": np.full(1, 99, np.int64)}
    nodes += [helper.make_node("Slice", [f"{part}j", "from", "to"], [part]) for part in ("w", "r", "bi", "bh")]
    nodes += [helper.make_node("Concat", ["bi", "bh"], ["b"], axis=1), lstm]
    pieces = read_deployed(saved(tmp_path / "pieces.onnx", nodes, weights)).items[0]
    np.testing.assert_array_equal(pieces.arrays["weight_ih_reverse"], w[1])
    np.testing.assert_array_equal(pieces.arrays["weight_hh"], r[0])
    np.testing.assert_array_equal(pieces.arrays["bias_hh_reverse"], b[1, 8:])


def quantized(path):
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["f"]), helper.make_node("Conv", ["x", "f"], ["y"])]
    saved(path, nodes, {"w": value(2, 3, 3, 3).astype(np.int8), "s": np.ones(1, np.float32)})


def integers(path):
    nodes = [helper.make_node("Cast", ["w"], ["f"], to=1), helper.make_node("Conv", ["x", "f"], ["y"])]
    saved(path, nodes, {"w": value(2, 3, 3, 3).astype(np.int8)})


def half(path):
    saved(path, CONV, {"w": value(2, 3, 3, 3).astype(np.float16)})


def optimized(path):
    node = helper.make_node("FusedConv", ["x", "w"], ["y"], domain="com.microsoft")
    saved(path, [node], {"w": value(2, 3, 3, 3)})


def elsewhere(path):
    saved(path, CONV, {"w": value(64, 3, 3, 3)})
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)


def cut(path):
    saved(path, CONV, {"w": value(2, 3, 3, 3)})
    path.write_bytes(path.read_bytes()[:-200])


def text(path):
    path.write_text("<html>404: not found</html>")


def empty(path):
    path.write_bytes(b"")


def other_size(path):
    saved(path, CONV, {"w": value(2, 3, 3, 3)})
    model = onnx.load(str(path))
    model.graph.initializer[0].dims[0] = 4
    onnx.save(model, str(path))


def endless_shape(path):
    saved(path, CONV, {"w": value(2, 3, 3, 3)})
    model = onnx.load(str(path))
    model.graph.initializer[0].dims[0] = 1 << 62
    onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (quantized, ["quantized", "DequantizeLinear", "give the float32"]),
        (integers, ["quantized", "int8", "give the float32"]),
        (half, ["half-precision", "float16", "give the float32"]),
        (optimized, ["optimized", "FusedConv", "as it was exported"]),
        (elsewhere, ["another file", "one .onnx file"]),
        (cut, ["cut off", "fetch it"]),
        (text, ["not an ONNX file", "fetch it"]),
        (empty, ["not an ONNX file", "fetch it"]),
        (other_size, ["216 bytes", "fetch it"]),
        (endless_shape, ["bytes", "fetch it"]),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, make, words):
    path = tmp_path / "bad.onnx"
    make(path)
    with pytest.raises(CheckpointError) as caught:
        read_deployed(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message


def test_every_cut_and_every_changed_byte_is_an_error_or_a_model(tmp_path):
    path = saved(tmp_path / "a.onnx", CONV, {"w": value(2, 3, 1, 1)})
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    spoilt = [content[:end] for end in range(len(content))]
    for _ in range(300):
        changed = bytearray(content)
        changed[rng.integers(len(content))] = rng.integers(256)
        spoilt.append(bytes(changed))
    for each in spoilt:
        path.write_bytes(each)
        try:
            read_deployed(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
