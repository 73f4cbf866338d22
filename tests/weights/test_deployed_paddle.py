"""The readers of Paddle's two formats, on files that are written here byte by byte."""

import json
import struct

import numpy as np
import pytest

from ocrexp.errors import CheckpointError
from ocrexp.weights.deployed import read_deployed

RNG = np.random.default_rng(0)
CONV = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)
NORM = [RNG.normal(size=4).astype(np.float32) for _ in range(4)]  # scale, bias, mean, variance
LINEAR = RNG.normal(size=(5, 4)).astype(np.float32)  # transposed
# In no alphabetical order: the file is in the order of the names, the program in that of execution.
WEIGHTS = {"z": CONV, "a": BIAS, "g": NORM[0], "f": NORM[1], "e": NORM[2], "d": NORM[3], "c": LINEAR}
TYPES = {"float32": 5, "float16": 4, "int8": 21}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def parameters(path, weights):
    content = b""
    for name in sorted(weights):
        array = weights[name]
        description = put(1, TYPES[str(array.dtype)]) + b"".join(put(2, size) for size in array.shape)
        content += struct.pack("<IQIi", 0, 0, 0, len(description)) + description + array.tobytes()
    path.write_bytes(content)


def paddle2(folder, weights=WEIGHTS, conv="conv2d"):
    """conv, elementwise_add, batch_norm, matmul_v2 with the transpose of its weight."""

    def variable(name, shape):
        tensor = put(1, 5) + b"".join(put(2, size) for size in shape)
        return put(3, put(1, name) + put(2, put(1, 7) + put(3, put(1, tensor))) + put(3, 1))

    def operator(kind, inputs, output, flags=()):
        body = b"".join(put(1, put(1, key) + put(2, name)) for key, name in inputs.items())
        body += put(2, put(1, "Out") + put(2, output)) + put(3, kind)
        return put(4, body + b"".join(put(4, put(1, flag) + put(2, 6) + put(10, 1)) for flag in flags))

    block = b"".join(variable(name, array.shape) for name, array in weights.items())
    block += operator(conv, {"Filter": "z", "Input": "x"}, "1")
    block += operator("elementwise_add", {"X": "1", "Y": "a"}, "2")
    norm = {"Bias": "f", "Mean": "e", "Scale": "g", "Variance": "d", "X": "2"}
    block += operator("batch_norm", norm, "3") + operator("matmul_v2", {"X": "3", "Y": "c"}, "4", ["trans_y"])
    (folder / "inference.pdmodel").write_bytes(put(1, block))
    parameters(folder / "inference.pdiparams", weights)
    return folder / "inference.pdmodel"


def paddle3(folder, weights=WEIGHTS, conv="1.conv2d"):
    """The same in PIR; a bias is reshaped first, a batch norm takes mean and variance before scale and bias."""
    numbers = {name: -position for position, name in enumerate(weights, 1)}
    dense = {"#": "0.t_dtensor"}

    def parameter(name, array):
        kind = {**dense, "D": [{"#": "0.t_f32"}, list(array.shape), "NCHW", [], 0]}
        return {"#": "p", "A": [0, 1, 1, name], "O": {"%": numbers[name], "TT": kind}, "OA": [1, 0, 1]}

    def operator(kind, inputs, output, **flags):
        attributes = [{"AT": {"#": "0.a_bool", "D": value}, "N": key} for key, value in flags.items()]
        return {"#": kind, "A": attributes, "I": [{"%": each} for each in inputs], "O": [{"%": output}]}

    state = parameter("z", np.zeros(3))  # a dropout's state is none of the file's weights
    state = {**state, "A": [0, 1, 1, "b_state"], "O": {**state["O"], "%": -99}, "OA": [0, 1, 0]}
    operators = [state, *(parameter(name, array) for name, array in weights.items())]
    operators += [
        operator(conv, [1, numbers["z"]], 2),
        operator("1.reshape", [numbers["a"], 90], 3),
        operator("1.add", [2, 3], 4),
        operator("1.batch_norm_", [4, *(numbers[name] for name in "edgf")], 5),
        operator("1.matmul", [5, numbers["c"]], 6, transpose_y=True),
    ]
    program = {"regions": [{"#": "region", "blocks": [{"#": "block", "args": [], "ops": operators}]}]}
    content = {"base_code": {"magic": "pir", "trainable": False, "version": 4}, "program": program}
    (folder / "inference.json").write_text(json.dumps(content))
    parameters(folder / "inference.pdiparams", weights)
    return folder / "inference.json"


FORMATS = pytest.mark.parametrize("write", [paddle2, paddle3])


def read(program):
    return read_deployed(program, program.with_suffix(".pdiparams"))


@FORMATS
def test_layers_come_in_order_of_execution(tmp_path, write):
    items = read(write(tmp_path)).items
    assert [item.kind for item in items] == ["conv", "bn", "linear"]
    np.testing.assert_array_equal(items[0].arrays["weight"], CONV)
    np.testing.assert_array_equal(items[0].arrays["bias"], BIAS)
    for name, expected in zip(("weight", "bias", "mean", "variance"), NORM, strict=True):
        np.testing.assert_array_equal(items[1].arrays[name], expected)
    np.testing.assert_array_equal(items[2].arrays["weight"], LINEAR.T)


def refused(program):
    with pytest.raises(CheckpointError) as caught:
        read(program)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(program.parent))
    return message


@FORMATS
def test_half_precision_quantized_and_optimized_files_are_refused(tmp_path, write):
    half = write(tmp_path, {**WEIGHTS, "z": CONV.astype(np.float16)})
    assert "half-precision (float16); give the float32" in refused(half)
    integers = write(tmp_path, {**WEIGHTS, "z": CONV.astype(np.int8)})
    assert "quantized (int8); give the float32" in refused(integers)
    prefix = "1." if write is paddle3 else ""
    assert "quantized (it has the operator quantize_linear)" in refused(
        write(tmp_path, conv=f"{prefix}quantize_linear")
    )
    assert "optimized" in refused(write(tmp_path, conv=f"{prefix}fused_conv2d_add_act"))


@FORMATS
def test_parameters_of_another_export_or_cut_off_are_refused(tmp_path, write):
    program = write(tmp_path)
    file = program.with_suffix(".pdiparams")
    content = file.read_bytes()
    file.write_bytes(content + b"more")
    assert "4 bytes more" in refused(program)
    parameters(file, {**WEIGHTS, "c": LINEAR.T.copy()})
    assert "c has the shape [4, 5], the program says [5, 4]" in refused(program)
    file.write_bytes(content[:-10])
    assert "cut off" in refused(program)


@FORMATS
def test_every_changed_byte_is_an_error_or_a_model(tmp_path, write):
    program = write(tmp_path)
    for file in (program, program.with_suffix(".pdiparams")):
        content = file.read_bytes()
        for _ in range(150):
            changed = bytearray(content)
            changed[RNG.integers(len(content))] = RNG.integers(256)
            file.write_bytes(bytes(changed) if RNG.integers(2) else bytes(content[: RNG.integers(len(content))]))
            try:
                read(program)
            except CheckpointError as error:
                assert "\n" not in str(error)
        file.write_bytes(content)


def test_another_json_is_refused(tmp_path):
    path = tmp_path / "inference.json"
    path.with_suffix(".pdiparams").write_bytes(b"")
    for text in ("[]", "{}", "not json", '{"base_code": {"magic": "other"}}', "[" * 100_000):
        path.write_text(text)
        assert "is no program of Paddle 3" in refused(path)
