"""Tiny exported models: a detector that finds dark patches, a recognizer that reads dark as `a` and bright as `b`."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.deploy.description import Description

HALF = (0.5, 0.5, 0.5)


def _onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed: the tiny networks of these tests need it")


def _save(nodes: list, weights: dict[str, np.ndarray], inputs: list, outputs: list, path: Path, metadata=None) -> None:
    onnx = _onnx()
    helper, proto = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", proto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", proto.FLOAT, outputs)],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def _with_file(description: Description, folder: Path, charset: Charset | None) -> None:
    facts = {"files": {"inference.onnx": hashlib.sha256((folder / "inference.onnx").read_bytes()).hexdigest()}}
    if charset is not None:
        facts["charset"] = {"fingerprint": charset.fingerprint}
    replace(description, ocrexp=facts).write(folder / "inference.yml")


def write_det(folder: Path, **resize: object) -> Path:
    """A folder with a detector; a pixel's probability is near 1 where it is dark."""
    node = _onnx().helper.make_node
    _save(
        [node("Conv", ["x", "w", "b"], ["c"]), node("Sigmoid", ["c"], ["y"])],
        {"w": np.full((1, 3, 1, 1), -8 / 3, np.float32), "b": np.array([-2], np.float32)},
        ["n", 3, "h", "w_"],
        ["n", 1, "h", "w_"],
        folder / "inference.onnx",
    )
    description = Description(
        "det", "", {"kind": "DetResize", "limit_side_len": 320, "limit_type": "max", **resize}, HALF, HALF,
        {"name": "DBPostProcess", "thresh": 0.3, "box_thresh": 0.6, "unclip_ratio": 0.2},
    )  # fmt: skip
    _with_file(description, folder, None)
    return folder


def write_ct(folder: Path) -> Path:
    """A folder with a CT detector; a pixel is a kernel where it is dark, all shifts are 0."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: the tiny networks of these tests need it")
    node = onnx.helper.make_node
    weights = np.zeros((3, 3, 1, 1), np.float32)
    weights[0] = -1 / 3
    _save(
        [
            node("AveragePool", ["x"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
            node("Conv", ["small", "w"], ["c"]),
            node("Relu", ["c"], ["y"]),
        ],
        {"w": weights},
        ["n", 3, "h", "w_"],
        ["n", 3, "h4", "w4"],
        folder / "inference.onnx",
    )
    resize = {"kind": "DetResize", "limit_side_len": 320, "limit_type": "max"}
    postprocess = {"name": "CTPostProcess", "box_thresh": 0.9, "box_type": "poly"}
    _with_file(Description("det", "", resize, HALF, HALF, postprocess), folder, None)
    return folder


def write_rec(
    folder: Path,
    characters: str = "ab",
    classes: int = 3,
    file: str = "inference.onnx",
    metadata=None,
    **resize: object,
) -> Path:
    """A folder with a CTC recognizer of eight columns per step: `a` where they are dark, `b` where they are bright."""
    node = _onnx().helper.make_node
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    weights[1], weights[2] = -10, 10
    bias = np.full(classes, -20, np.float32)
    bias[:3] = [3, 0, 0]
    _save(
        [
            node("ReduceMean", ["x"], ["rows"], axes=[2], keepdims=1),
            node("AveragePool", ["rows"], ["steps"], kernel_shape=[1, 8], strides=[1, 8]),
            node("Conv", ["steps", "w", "b"], ["logits"]),
            node("Squeeze", ["logits", "two"], ["flat"]),
            node("Transpose", ["flat"], ["turned"], perm=[0, 2, 1]),
            node("Softmax", ["turned"], ["y"], axis=2),
        ],
        {"w": weights, "b": bias, "two": np.array([2], np.int64)},
        ["n", 3, "h", "w_"],
        ["n", "t", classes],
        folder / file,
        metadata,
    )
    if file == "inference.onnx":
        shape = {"kind": "RecResize", "image_shape": [16, 64], "widen": True, "min_side": 4, **resize}
        description = Description("rec", "", shape, HALF, HALF, {"name": "CTCLabelDecode"}, tuple(characters))
        _with_file(description, folder, Charset(tuple(characters)))
    return folder


def write_cls(folder: Path) -> Path:
    """A classifier without a description: 180 where the left half is darker than the right one."""
    node = _onnx().helper.make_node
    weights = np.ones((2, 3, 48, 192), np.float32) / (48 * 192)
    weights[0, :, :, 96:] *= -1
    weights[1, :, :, :96] *= -1
    _save(
        [
            node("Conv", ["x", "w"], ["c"]),
            node("Flatten", ["c"], ["f"]),
            node("Mul", ["f", "ten"], ["m"]),
            node("Softmax", ["m"], ["y"], axis=1),
        ],
        {"w": weights, "ten": np.array(10, np.float32)},
        ["n", 3, 48, 192],
        ["n", 2],
        folder / "inference.onnx",
    )
    return folder


def stripes(letters: str, height: int = 16, width: int = 16) -> np.ndarray:
    """A line image that the tiny recognizer reads so: `a` is black, `b` white, `-` gray."""
    values = {"a": 0, "b": 255, "-": 127}
    columns = np.repeat([values[letter] for letter in letters], width).astype(np.uint8)
    return np.repeat(np.repeat(columns[None], height, 0)[..., None], 3, 2)
