"""A deployed network as a list of layers with weights, in their order of execution.

The formats differ in how they write a layer: a convolution's bias is an input of it or an addition behind it, a layer
norm is one operator or nine. Each reader gives `Operation`s; `items_of` makes the layers of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Literal["conv", "convtranspose", "bn", "linear", "layernorm", "lab", "lstm"]
OperationKind = Literal["conv", "convtranspose", "bn", "linear", "layernorm", "lstm", "mul", "add"]

NORM = ("weight", "bias", "mean", "variance")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator that has weights among its inputs.

    Args:
        kind: `mul` and `add` are those with one weight and one tensor that is computed.
        name: of its first weight in the file.
        inputs: names of the tensors that are computed.
        output: name of its first output.
        arrays: its weights by the names that `Item` gives them; of `mul` and `add` the one `value`.
    """

    kind: OperationKind
    name: str
    inputs: tuple[str, ...]
    output: str
    arrays: dict[str, Array]


@dataclass(slots=True)
class Item:
    """A layer with its weights.

    Args:
        kind: `lab` is a learnable affine: one scale and one bias for a whole tensor.
        name: of its first weight in the file.
        arrays: conv [out, in, h, w], convtranspose [in, out, h, w] and linear [in, out]: `weight` and maybe `bias`; bn:
            `weight`, `bias`, `mean`, `variance`; layernorm: `weight`, `bias`; lab: `scale`, `bias`; lstm (one layer):
            `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` and, where it goes both ways, the same with `_reverse`.
    """

    kind: Kind
    name: str
    arrays: dict[str, Array] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first array."""
        return tuple(next(iter(self.arrays.values())).shape)

    def describe(self) -> str:
        """`conv [16, 3, 3, 3] with bias (conv2d_0.w_0)`."""
        biased = " with bias" if self.kind in ("conv", "convtranspose", "linear") and "bias" in self.arrays else ""
        return f"{self.kind} {list(self.shape)}{biased} ({self.name})"


def items_of(operations: Iterable[Operation]) -> list[Item]:
    """The layers of the operators, in order; single multiplications and additions of weights are not layers."""
    items: list[Item] = []
    without_bias: dict[str, Item] = {}  # by the name of the output
    scaled: dict[str, Operation] = {}
    for operation in operations:
        kind, arrays = operation.kind, operation.arrays
        if kind == "mul":
            scaled[operation.output] = operation
        elif kind == "add":
            before, value = operation.inputs[0], arrays["value"]
            if before in without_bias and value.size == _channels(without_bias[before]):
                without_bias.pop(before).arrays["bias"] = value.reshape(-1)
            elif before in scaled and scaled[before].arrays["value"].size == value.size:
                multiplied = scaled.pop(before)
                one = value.size == 1
                weight = multiplied.arrays["value"].reshape(-1)
                names = ("scale", "bias") if one else ("weight", "bias")
                pair = dict(zip(names, (weight, value.reshape(-1)), strict=True))
                items.append(Item("lab" if one else "layernorm", multiplied.name, pair))
        else:
            item = Item(kind, operation.name, dict(arrays))
            items.append(item)
            if kind in ("conv", "convtranspose", "linear") and "bias" not in arrays:
                without_bias[operation.output] = item
    return items


def _channels(item: Item) -> int:
    """Number of outputs."""
    shape = item.shape
    return shape[0] if item.kind == "conv" else shape[1]


def lstm_arrays(weights: Iterable[tuple[Array, Array, Array, Array]]) -> dict[str, Array]:
    """The arrays of an LSTM's layer from those of its directions: input, recurrent, their biases."""
    arrays: dict[str, Array] = {}
    for ending, direction in zip(("", "_reverse"), weights, strict=False):
        for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), direction, strict=True):
            arrays[name + ending] = np.ascontiguousarray(value)
    return arrays
