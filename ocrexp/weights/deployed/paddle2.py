"""A Paddle 2 inference model (`.pdmodel`, `.pdiparams`) as layers in order of execution.

The messages are those of paddle/fluid/framework/framework.proto.
"""

from __future__ import annotations

from pathlib import Path

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.deployed.items import Item, Operation, items_of
from ocrexp.weights.deployed.paddle_operations import RENAMING, lstm_operations, operation, refuse
from ocrexp.weights.deployed.paddle_weights import read_weights
from ocrexp.weights.deployed.protobuf import NotReadable, integer, integers, messages, text, texts
from ocrexp.weights.reader import read_content

# Fields of ProgramDesc, BlockDesc, VarDesc and OpDesc.
_BLOCKS, _VARS, _OPS = 1, 3, 4
_VAR_NAME, _VAR_TYPE, _PERSISTABLE = 1, 2, 3
_OP_INPUTS, _OP_OUTPUTS, _OP_TYPE, _OP_ATTRS = 1, 2, 3, 4
_DENSE_TENSOR = 7
_MOST_OPERATORS = 200_000
# Inputs of the operators that are weights, in the order of `Item`'s arrays.
_WEIGHTS = {
    "conv2d": ("Filter", "Bias"),
    "depthwise_conv2d": ("Filter", "Bias"),
    "conv2d_transpose": ("Filter", "Bias"),
    "depthwise_conv2d_transpose": ("Filter", "Bias"),
    "batch_norm": ("Scale", "Bias", "Mean", "Variance"),
    "sync_batch_norm": ("Scale", "Bias", "Mean", "Variance"),
    "layer_norm": ("Scale", "Bias"),
    "rnn": ("WeightList",),
}


def read_paddle2(program: Path, parameters: Path) -> list[Item]:
    """The layers of a model.

    Raises CheckpointError: damaged, of two exports, quantized, half-precision or optimized.
    """
    try:
        blocks = messages(memoryview(read_content(program)), _BLOCKS)
        if not blocks:
            raise NotReadable("it has no block")
        shapes = _weights(blocks[0])
        operators = messages(blocks[0], _OPS)
        if len(operators) > _MOST_OPERATORS:
            raise NotReadable(f"it has more than {_MOST_OPERATORS} operators")
        for operator in operators:
            refuse(program, text(operator, _OP_TYPE))
        if not shapes:
            raise CheckpointError(f"{program}: has no weights; give the folder of an exported model")
        arrays = read_weights(parameters, shapes)
        found: list[Operation] = []
        source: dict[str, str] = {}
        for operator in operators:
            kind = text(operator, _OP_TYPE)
            inputs = {text(each, 1): texts(each, 2) for each in messages(operator, _OP_INPUTS)}
            outputs = {text(each, 1): texts(each, 2) for each in messages(operator, _OP_OUTPUTS)}
            names = [source.get(name, name) for of_input in inputs.values() for name in of_input]
            output = next((outputs[key][0] for key in ("Y", "Out", "Output") if outputs.get(key)), "")
            if kind in RENAMING and len(names) == 1 and names[0] in arrays:
                source[output] = names[0]
                continue
            computed = [name for name in names if name not in shapes]
            wanted = [name for key in _WEIGHTS.get(kind, tuple(inputs)) for name in inputs.get(key, ())]
            weights = [source.get(name, name) for name in wanted if source.get(name, name) in arrays]
            if kind == "rnn":
                found += lstm_operations(computed, weights, output, arrays.__getitem__, _flag(operator, "is_bidirec"))
                continue
            turned = any(_flag(operator, key) for key in ("trans_y", "transpose_Y"))
            made = operation(kind, computed, weights, output, arrays.__getitem__, turned)
            if made is not None:
                found.append(made)
    except NotReadable as error:
        raise CheckpointError(
            f"{program}: is no program of Paddle 2, or is damaged: {printable(str(error))}; fetch it or export it again"
        ) from None
    return items_of(found)


def _weights(block: memoryview) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for variable in messages(block, _VARS):
        if not integer(variable, _PERSISTABLE):
            continue
        for kind in messages(variable, _VAR_TYPE):
            if integer(kind, 1) != _DENSE_TENSOR:
                continue  # the lists that the program is fed from and gives to
            for tensor in messages(kind, 3):
                for description in messages(tensor, 1):
                    shapes[text(variable, _VAR_NAME)] = tuple(integers(description, 2))
    return shapes


def _flag(operator: memoryview, name: str) -> bool:
    """An attribute that is true or false; false if there is none."""
    return any(integer(each, 10) for each in messages(operator, _OP_ATTRS) if text(each, 1) == name)
