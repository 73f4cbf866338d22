"""Paddle's operators, of both formats, as operations with weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.deployed.items import NORM, Array, Operation, OperationKind, lstm_arrays

# What paddle's optimizer and its quantization leave behind.
_QUANTIZED = ("quantize", "dequantize")
_OPTIMIZED = ("fused_", "fc", "conv2d_fusion", "multihead_matmul", "skip_layernorm", "fused", "mkldnn", "onednn")
# Operators that give their first input another shape or name.
RENAMING = ("reshape2", "reshape", "assign", "squeeze2", "squeeze", "unsqueeze2", "unsqueeze", "share_data", "flatten")

_CONVOLUTIONS = {
    "conv2d": "conv",
    "depthwise_conv2d": "conv",
    "conv2d_transpose": "convtranspose",
    "depthwise_conv2d_transpose": "convtranspose",
}
_MULTIPLIED = ("elementwise_mul", "multiply")
_ADDED = ("elementwise_add", "add")
_PRODUCTS = ("matmul_v2", "matmul", "mul")


def refuse(path: Path, operator: str) -> None:
    """Raises CheckpointError for an operator of a quantized or optimized program."""
    if any(part in operator for part in _QUANTIZED):
        raise CheckpointError(
            f"{path}: is quantized (it has the operator {printable(operator)}); give the float32 files that it was "
            "made from"
        )
    if operator.startswith(_OPTIMIZED[0]) or operator in _OPTIMIZED:
        raise CheckpointError(
            f"{path}: is optimized for a runtime (it has the operator {printable(operator)}); give the files as they "
            "were exported"
        )


def operation(
    operator: str,
    computed: Sequence[str],
    weights: Sequence[str],
    output: str,
    array: Callable[[str], Array],
    transposed: bool = False,
) -> Operation | None:
    """An operator with weights; None for any other one.

    Args:
        operator: its name.
        computed: the names of its inputs that are computed.
        weights: the names of those that are weights, in the order of `Item`'s arrays; of an LSTM paddle's order.
        output: the name of its first output.
        array: gives a weight by its name.
        transposed: a matrix product takes the transpose of the weight.
    """
    if not weights or not computed:
        return None
    arrays = [array(name) for name in weights]

    def made(kind: OperationKind, named: Mapping[str, Array]) -> Operation:
        return Operation(kind, weights[0], tuple(computed), output, dict(named))

    if operator in _CONVOLUTIONS:
        kind: OperationKind = "conv" if _CONVOLUTIONS[operator] == "conv" else "convtranspose"
        return made(kind, dict(zip(("weight", "bias"), arrays, strict=False)))
    if operator in ("batch_norm", "batch_norm_", "sync_batch_norm", "sync_batch_norm_") and len(arrays) == 4:
        return made("bn", dict(zip(NORM, arrays, strict=True)))
    if operator == "layer_norm":
        return made("layernorm", dict(zip(("weight", "bias"), arrays, strict=False)))
    if operator in _PRODUCTS and arrays[0].ndim == 2:
        return made("linear", {"weight": arrays[0].T.copy() if transposed else arrays[0]})
    if operator in _MULTIPLIED and len(arrays) == 1:
        return made("mul", {"value": arrays[0]})
    if operator in _ADDED and len(arrays) == 1:
        return made("add", {"value": arrays[0]})
    return None


def lstm_operations(
    computed: Sequence[str], weights: Sequence[str], output: str, array: Callable[[str], Array], both_ways: bool
) -> list[Operation]:
    """The layers of paddle's `rnn` operator: all weights of all layers and directions, then all biases."""
    half = len(weights) // 2
    matrices, biases = list(map(array, weights[:half])), list(map(array, weights[half:]))
    pairs = [
        (matrices[i], matrices[i + 1], biases[i].reshape(-1), biases[i + 1].reshape(-1))
        for i in range(0, min(len(matrices), len(biases)) - 1, 2)
    ]
    step = 2 if both_ways else 1
    return [
        Operation("lstm", weights[2 * i], tuple(computed), output, lstm_arrays(pairs[i : i + step]))
        for i in range(0, len(pairs), step)
    ]
