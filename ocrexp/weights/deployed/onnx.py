"""An ONNX file (onnx/onnx: onnx/onnx.proto) as layers in order of execution; read without the library `onnx`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.deployed.items import NORM, Array, Item, Operation, items_of, lstm_arrays
from ocrexp.weights.deployed.protobuf import NotReadable, fields, integer, integers, messages, text, texts
from ocrexp.weights.reader import read_content

# Fields of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto.
_GRAPH, _METADATA = 7, 14
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OP_TYPE, _ATTRIBUTE, _DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR = 1, 5
_DIMS, _DATA_TYPE, _FLOAT_DATA, _NAME, _RAW, _LOCATION = 1, 2, 4, 8, 9, 14
_FLOAT32 = 1
_HALF = {10: "float16", 16: "bfloat16"}
_BYTES = {2: "uint8", 3: "int8"}
_RENAMING = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
_MOST_NODES = 200_000
_MOST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class _Node:
    kind: str
    inputs: list[str]
    outputs: list[str]
    message: memoryview


def read_onnx(path: Path) -> tuple[list[Item], tuple[str, ...] | None]:
    """The layers of a file, and the characters that its metadata states (`character`, as RapidOCR's files have it).

    Raises CheckpointError: no ONNX file, cut off, quantized, half-precision or optimized, or weights in another file.
    """
    content = memoryview(read_content(path))
    try:
        graphs = messages(content, _GRAPH)
        if not graphs:
            raise NotReadable("it has no graph")
        operations = _operations(path, graphs[-1])
        characters = next(
            (text(entry, 2) for entry in messages(content, _METADATA) if text(entry, 1) == "character"), None
        )
    except NotReadable as error:
        raise CheckpointError(
            f"{path}: is not an ONNX file, or is cut off: {error}; fetch it or export it again"
        ) from None
    lines = None if characters is None else tuple(line.removesuffix("\r") for line in characters.split("\n"))
    if lines and lines[-1] == "":
        lines = lines[:-1]
    return items_of(operations), lines


def _operations(path: Path, graph: memoryview) -> list[Operation]:
    nodes = []
    for message in messages(graph, _NODE):
        node = _Node(text(message, _OP_TYPE), texts(message, _INPUT), texts(message, _OUTPUT), message)
        _refuse(path, node.kind, text(message, _DOMAIN))
        nodes.append(node)
        if len(nodes) > _MOST_NODES:
            raise NotReadable(f"it has more than {_MOST_NODES} operators")
    constants = _Constants(path, graph, nodes)
    return [operation for node in nodes if (operation := _operation(node, constants)) is not None]


def _refuse(path: Path, kind: str, domain: str) -> None:
    if "quantize" in kind.lower() or kind.startswith("QLinear") or kind.endswith("Integer"):
        raise CheckpointError(
            f"{path}: is quantized (it has the operator {printable(kind)}); give the float32 file that it was made from"
        )
    if domain not in ("", "ai.onnx"):
        raise CheckpointError(
            f"{path}: is optimized for a runtime (it has the operator {printable(domain)}.{printable(kind)}); give the "
            "file as it was exported"
        )


class _Constants:
    """Weights by name: initializers, constants, and either under a new name or in another shape."""

    def __init__(self, path: Path, graph: memoryview, nodes: list[_Node]) -> None:
        self._path = path
        self._tensors = {text(tensor, _NAME): tensor for tensor in messages(graph, _INITIALIZER)}
        self._source: dict[str, str] = {}
        self._parts: dict[str, list[str]] = {}  # of what is cut and joined from weights
        for node in nodes:
            if node.kind == "Constant" and node.outputs:
                for attribute in messages(node.message, _ATTRIBUTE):
                    for tensor in messages(attribute, _ATTRIBUTE_TENSOR):
                        self._tensors[node.outputs[0]] = tensor
            elif node.kind in _RENAMING and node.inputs and node.outputs and node.inputs[0] in self:
                self._source[node.outputs[0]] = self.origin(node.inputs[0])
            elif node.kind in ("Identity", "Cast") and node.inputs and node.outputs:
                self._source[node.outputs[0]] = self.origin(node.inputs[0])  # of what is computed
            elif node.kind == "Add" and node.outputs and (weight := self._copied(node.inputs)):
                self._source[node.outputs[0]] = self.origin(weight)
            elif node.kind in ("Concat", "Slice") and node.outputs:
                self._parts[node.outputs[0]] = node.inputs

    def __contains__(self, name: str) -> bool:
        return self.origin(name) in self._tensors

    def _copied(self, inputs: list[str]) -> str | None:
        """The weight to which a zero is added: paddle2onnx writes the copy of a tensor so."""
        if len(inputs) != 2 or not all(name in self for name in inputs):
            return None
        weight, zero = inputs
        small = integers(self._tensors[self.origin(zero)], _DIMS) in ([], [1])
        return weight if small and self.is_float(zero) and not self.array(zero).any() else None

    def origin(self, name: str) -> str:
        """The name under which a weight is stored, or that of a tensor before it was only renamed."""
        return self._source.get(name, name)

    def is_float(self, name: str) -> bool:
        """Whether a weight is of a float type: sizes, which are integers, are constants too."""
        return integer(self._tensors[self.origin(name)], _DATA_TYPE) in (_FLOAT32, *_HALF)

    def leaves(self, name: str) -> list[str]:
        """The weights that a tensor is cut and joined from, each once, in their order."""
        found: dict[str, None] = {}
        waiting, visits = [name], 0
        while waiting:
            each = waiting.pop()
            visits += 1
            if visits > _MOST_PARTS:
                raise NotReadable(f"{printable(name)} is made of more than {_MOST_PARTS} parts")
            if each in self:
                if self.is_float(each):
                    found[self.origin(each)] = None
            else:
                waiting += reversed(self._parts.get(each, []))
        return list(found)

    def array(self, name: str) -> Array:
        """A weight, float32, in the shape that it is stored in. Raises CheckpointError, NotReadable."""
        name = self.origin(name)
        tensor = self._tensors[name]
        kind = integer(tensor, _DATA_TYPE)
        where = f"{self._path}: {printable(name)}"
        if kind in _HALF:
            raise CheckpointError(f"{where} is half-precision ({_HALF[kind]}); give the float32 file")
        if kind in _BYTES:
            raise CheckpointError(f"{where} is quantized ({_BYTES[kind]}); give the float32 file")
        if kind != _FLOAT32:
            raise CheckpointError(f"{where} has the data type {kind}, expected 1 (float32); export the model again")
        if integer(tensor, _LOCATION):
            raise CheckpointError(f"{where} is stored in another file; save the model as one .onnx file")
        shape = integers(tensor, _DIMS)
        raw = b"".join(messages(tensor, _RAW)) or b"".join(
            value for number, value in fields(tensor) if number == _FLOAT_DATA and isinstance(value, memoryview)
        )
        if any(size < 0 for size in shape) or len(raw) != 4 * int(np.prod(shape, dtype=object)):
            raise NotReadable(f"{printable(name)} has {len(raw)} bytes, its shape {shape} needs another number")
        return np.frombuffer(raw, "<f4").reshape(shape)


def _operation(node: _Node, constants: _Constants) -> Operation | None:
    """An operator with weights; None for any other one."""
    if node.kind == "LSTM":
        return _lstm(node, constants)
    known = [name for name in node.inputs if name in constants]
    computed = tuple(constants.origin(name) for name in node.inputs if name and name not in constants)
    if not known or not node.outputs or not computed:
        return None
    output, name = node.outputs[0], constants.origin(known[0])

    def made(kind: str, arrays: Mapping[str, Array]) -> Operation:
        return Operation(kind, name, computed, output, dict(arrays))  # type: ignore[arg-type]  # checked below

    if node.kind in ("Conv", "ConvTranspose"):
        names = ("weight", "bias")
        kind = "conv" if node.kind == "Conv" else "convtranspose"
        return made(kind, dict(zip(names, map(constants.array, known), strict=False)))
    if node.kind == "BatchNormalization" and len(known) == 4:
        return made("bn", dict(zip(NORM, map(constants.array, known), strict=True)))
    if node.kind == "LayerNormalization":
        return made("layernorm", dict(zip(("weight", "bias"), map(constants.array, known), strict=False)))
    if node.kind in ("MatMul", "Gemm"):
        weight = constants.array(known[0])
        if weight.ndim != 2:
            return None
        turned = node.kind == "Gemm" and _attribute(node, "transB") == 1
        arrays = {"weight": np.ascontiguousarray(weight.T) if turned else weight}
        if len(known) > 1:
            arrays["bias"] = constants.array(known[1]).reshape(-1)
        return made("linear", arrays)
    if node.kind in ("Mul", "Add") and len(known) == 1 and constants.is_float(known[0]):
        return made(node.kind.lower(), {"value": constants.array(known[0])})
    return None


def _attribute(node: _Node, name: str) -> int:
    """An attribute that is an integer; 0 if there is none."""
    found = [each for each in messages(node.message, _ATTRIBUTE) if text(each, _ATTRIBUTE_NAME) == name]
    return integer(found[0], 3) if found else 0


def _lstm(node: _Node, constants: _Constants) -> Operation | None:
    """A layer of an LSTM. paddle2onnx writes its weights as pieces of paddle's own, which are taken as they are."""
    leaves = [constants.leaves(name) for name in node.inputs[1:4]]
    if len(leaves) < 3 or not all(leaves):
        return None
    arrays = [[constants.array(name) for name in group] for group in leaves]
    if all(len(group) == 1 for group in arrays) and arrays[0][0].ndim == 3:
        directions = _from_onnx_order(*(group[0] for group in arrays))
    else:
        of_input, of_state, biases = arrays
        half = len(biases) // 2
        if not len(of_input) == len(of_state) == half:
            raise NotReadable(
                f"the LSTM {printable(leaves[0][0])} has {len(biases)} biases for {len(of_input)} weights"
            )
        directions = list(zip(of_input, of_state, biases[:half], biases[half:], strict=True))
    return Operation("lstm", leaves[0][0], (node.inputs[0],), node.outputs[0], lstm_arrays(directions))


def _from_onnx_order(w: Array, r: Array, b: Array) -> list[tuple[Array, Array, Array, Array]]:
    """ONNX's order of the gates is input, output, forget, cell; paddle's is input, forget, cell, output."""

    def gates(value: Array) -> Array:
        i, o, f, c = np.split(value, 4, axis=0)
        return np.concatenate([i, f, c, o], axis=0)

    if not w.shape[0] == r.shape[0] == b.shape[0] or any(size % 4 for size in (w.shape[1], r.shape[1])):
        raise NotReadable("the weights of an LSTM do not fit together")
    directions = []
    for number in range(w.shape[0]):
        of_input, of_state = np.split(b[number], 2)
        directions.append((gates(w[number]), gates(r[number]), gates(of_input), gates(of_state)))
    return directions
