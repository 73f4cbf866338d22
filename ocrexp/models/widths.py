"""Layers with other numbers of channels than their network's class gives them: a pruned network (`model.widths`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn
from paddle.base.framework import EagerParamBase

from ocrexp.models.layers import is_batch_norm
from ocrexp.nearest import did_you_mean

_CONVOLUTIONS = (nn.Conv2D, nn.Conv2DTranspose)
Kept = Mapping[int, npt.NDArray[np.int64]]  # axis of a parameter → the places that stay, in order


def widths_of(layer: nn.Layer) -> list[int] | None:
    """The numbers of channels of a layer: [in, out], of a norm [channels]; None for a layer that cannot be pruned."""
    if isinstance(layer, _CONVOLUTIONS):
        return [int(layer._in_channels), int(layer._out_channels)]
    if isinstance(layer, nn.Linear):
        return [int(size) for size in layer.weight.shape]
    return [int(layer.weight.shape[0])] if is_batch_norm(layer) and layer.weight is not None else None


def is_depthwise(layer: nn.Layer) -> bool:
    """Whether a convolution has a kernel for each channel, and as many results."""
    return isinstance(layer, _CONVOLUTIONS) and 1 < layer._groups == layer._in_channels == layer._out_channels


def apply_widths(model: nn.Layer, widths: Mapping[str, Sequence[int]]) -> None:
    """Give layers their numbers of channels; the first channels of each keep their values.

    Args:
        model: a network as its class builds it.
        widths: name of a layer → see `widths_of`.

    Raises ValueError for an unknown layer, one that cannot be pruned, and a number that it cannot have.
    """
    layers = dict(model.named_sublayers())
    for name, sizes in widths.items():
        layer = layers.get(name)
        if layer is None:
            hint = did_you_mean(name, layers) or "; choose the model that was pruned, or set widths=null"
            raise ValueError(f"widths: the model has no layer {name}{hint}")
        there = widths_of(layer)
        plain = isinstance(sizes, Sequence) and all(type(size) is int and size > 0 for size in sizes)
        if (
            there is None
            or not plain
            or len(sizes) != len(there)
            or any(a > b for a, b in zip(sizes, there, strict=True))
        ):
            expected = "a layer with channels" if there is None else f"up to {there}"
            raise ValueError(f"widths.{name}: expected {expected}, got {sizes!r}")
        keep_channels(layer, *(np.arange(size) for size in sizes))
    model.narrowed = bool(widths)


def keep_channels(layer: nn.Layer, *kept: npt.NDArray[np.int64]) -> None:
    """Remove all other channels of a layer; `kept` are the places that stay, for each number of `widths_of`."""
    first, last = kept[0], kept[-1]
    for name, axes in _axes(layer, first, last):
        value = getattr(layer, name)
        if value is None:
            continue
        array = value.numpy()
        for axis, places in axes.items():
            array = array.take(places, axis=axis)
        _replace(layer, name, array)
    if isinstance(layer, _CONVOLUTIONS):
        if is_depthwise(layer):
            layer._groups = len(last)
        layer._in_channels, layer._out_channels = len(first), len(last)
    elif is_batch_norm(layer) and hasattr(layer, "_num_features"):
        layer._num_features = len(last)


def _axes(layer: nn.Layer, first: Any, last: Any) -> Iterator[tuple[str, Kept]]:
    """Parameters of a layer, with what stays of each axis."""
    if is_batch_norm(layer):
        yield from ((name, {0: last}) for name in ("weight", "bias", "_mean", "_variance"))
        return
    if is_depthwise(layer):
        yield "weight", {0: last}
    elif isinstance(layer, nn.Conv2D):
        yield "weight", {0: last, 1: first}
    else:  # a transposed convolution and a linear layer have their input first
        yield "weight", {0: first, 1: last}
    yield "bias", {0: last}


def _replace(layer: nn.Layer, name: str, array: npt.NDArray[Any]) -> None:
    """Another value for a parameter or buffer, which keeps its rate, decay and other properties."""
    old = getattr(layer, name)
    tensor = paddle.to_tensor(array, dtype=old.dtype)
    if name in layer._parameters:
        tensor = EagerParamBase.from_tensor(tensor, name=old.name, **vars(old))
        tensor.stop_gradient = old.stop_gradient
        layer._parameters[name] = tensor
    else:
        layer._buffers[name] = tensor
