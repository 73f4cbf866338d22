"""Layers that mix channels as one product of matrices: what they read at each place, times their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn

from ocrexp.environment import untuned
from ocrexp.models.model import OCRModel

Floats = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

ROWS = 8192  # places of a layer's result that are looked at
RIDGE = 1e-3  # how strongly weights are held where they were, as a share of the mean square of the inputs
_EQUAL = 1e-3  # largest difference, as a share of the values, between a layer's result and the product


class Watcher:
    """Called before and after a layer runs."""

    def before(self, layer: nn.Layer, inputs: Any) -> None:
        """The layer will get these inputs."""

    def after(self, layer: nn.Layer, inputs: Any, output: Tensor) -> None:
        """The layer has given this output."""


def watch(model: OCRModel, images: Sequence[Floats], watched: Sequence[nn.Layer], watcher: Watcher) -> None:
    """Run a network on images, [N, C, H, W] each, which become one batch: smaller ones get zeros at the right and
    bottom."""
    height, width = (max(batch.shape[axis] for batch in images) for axis in (2, 3))
    padded = [np.pad(x, ((0, 0), (0, 0), (0, height - x.shape[2]), (0, width - x.shape[3]))) for x in images]
    hooks = []
    for layer in watched:
        hooks.append(layer.register_forward_pre_hook(watcher.before))
        hooks.append(layer.register_forward_post_hook(watcher.after))
    model.eval()
    try:
        with paddle.no_grad(), untuned():  # the kernels for training on a CPU do not call the layers
            model(paddle.to_tensor(np.concatenate(padded)))
    finally:
        for hook in hooks:
            hook.remove()


def input_of(inputs: Any) -> Tensor:
    """The tensor that a layer is called with."""
    tensor: Tensor = inputs[0] if isinstance(inputs, tuple) else inputs
    return tensor


def input_channels(layer: nn.Layer) -> int:
    """Number of channels that a layer reads."""
    return int(layer.weight.shape[0] if isinstance(layer, nn.Linear) else layer._in_channels)


def matrix_of(layer: nn.Layer) -> Floats:
    """The weights, [inputs, results], channel by channel: the values of a convolution's kernel are inputs, those of a
    transposed one results."""
    weight: Floats = layer.weight.numpy()
    if isinstance(layer, nn.Linear):
        return weight
    flat = weight.reshape(weight.shape[0], -1)
    return np.ascontiguousarray(flat.T) if isinstance(layer, nn.Conv2D) else flat


def set_matrix(layer: nn.Layer, matrix: Floats) -> None:
    """The weights from what `matrix_of` gives."""
    values = matrix.T if isinstance(layer, nn.Conv2D) else matrix
    layer.weight.set_value(np.ascontiguousarray(values, np.float32).reshape(layer.weight.shape))


def bias_of(layer: nn.Layer) -> Floats:
    """The bias of each result, zeros where there is none."""
    results = layer.weight.shape[0] if isinstance(layer, nn.Conv2D) else int(np.prod(layer.weight.shape[1:]))
    if layer.bias is None:
        return np.zeros(results, np.float32)
    bias: Floats = layer.bias.numpy()
    return np.repeat(bias, results // len(bias))


def move_bias(layer: nn.Layer, change: Floats) -> None:
    """Add to the bias what the results should gain; the places of a transposed kernel have one in common."""
    if layer.bias is not None:
        moved = change.reshape(layer.bias.shape[0], -1).mean(axis=1)
        layer.bias.set_value((layer.bias.numpy() + moved).astype(np.float32))


def some_places(layer: nn.Layer, inputs: Any, output: Tensor, rng: np.random.Generator) -> Places | None:
    """Up to `ROWS` places of a result, in order; None for a layer that is no such product."""
    x = input_of(inputs)
    if not _is_understood(layer):
        return None
    shape = x.shape if isinstance(layer, nn.Conv2DTranspose) else output.shape
    count = int(np.prod(shape[:-1]) if isinstance(layer, nn.Linear) else shape[0] * shape[2] * shape[3])
    places: Places = np.sort(rng.permutation(count)[:ROWS])
    rows = results_at(layer, output, places)
    own = columns_at(layer, x, places) @ matrix_of(layer) + bias_of(layer)
    return places if np.abs(own - rows).max() <= _EQUAL * np.abs(rows).max() else None


def columns_at(layer: nn.Layer, x: Tensor, places: Places) -> Floats:
    """What a layer reads for each place, [places, inputs]."""
    values = x.numpy()
    if isinstance(layer, nn.Linear):
        flat: Floats = values.reshape(-1, values.shape[-1])[places]
        return flat
    if isinstance(layer, nn.Conv2DTranspose):
        picked: Floats = _picked(values, places)
        return picked
    top, left = _pair(layer._padding)
    (down, right), (high, wide) = _pair(layer._stride), _pair(layer._dilation)
    kernel = layer.weight.shape[2:]
    padded = np.pad(values, ((0, 0), (0, 0), (top, top), (left, left)))
    rows = (padded.shape[2] - high * (kernel[0] - 1) - 1) // down + 1
    columns = (padded.shape[3] - wide * (kernel[1] - 1) - 1) // right + 1
    image, row, column = np.unravel_index(places, (len(values), rows, columns))
    parts = [
        padded[image, :, row * down + i * high, column * right + j * wide]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    return np.stack(parts, axis=2).reshape(len(places), -1)


def results_at(layer: nn.Layer, output: Tensor, places: Places) -> Floats:
    """What a layer gives at each place, [places, results]."""
    values = output.numpy()
    if isinstance(layer, nn.Linear):
        flat: Floats = values.reshape(-1, values.shape[-1])[places]
        return flat
    if isinstance(layer, nn.Conv2DTranspose):
        down, right = _pair(layer._stride)
        count, channels, height, width = values.shape
        blocks = values.reshape(count, channels, height // down, down, width // right, right)
        return _picked(blocks.transpose(0, 1, 3, 5, 2, 4).reshape(count, -1, height // down, width // right), places)
    return _picked(values, places)


def normal_equations(columns: Floats) -> Floats:
    """The products of all inputs with each other and with a constant, float64 [inputs + 1, inputs + 1]."""
    extended = np.concatenate([columns, np.ones((len(columns), 1), columns.dtype)], axis=1)
    square: Floats = (extended.T @ extended).astype(np.float64)
    return square


def held(square: Floats) -> Floats:
    """`normal_equations` by which weights stay where they were if the inputs say nothing (`RIDGE`)."""
    kept: Floats = square + RIDGE * max(float(np.trace(square)) / len(square), 1e-12) * np.eye(len(square))
    return kept


def solve(square: Floats, right: Floats) -> Floats:
    """The change of weights that fits best, float64 [inputs, results].

    Args:
        square: see `normal_equations`, [inputs, inputs].
        right: the products of the inputs and what the results lack, [inputs, results].
    """
    change: Floats = np.linalg.solve(held(square), right)
    return change


def _picked(values: Floats, places: Places) -> Floats:
    """The channels of maps [N, C, H, W] at places, [places, C]."""
    image, row, column = np.unravel_index(places, (len(values), *values.shape[2:]))
    picked: Floats = values[image, :, row, column]
    return picked


def _is_understood(layer: nn.Layer) -> bool:
    """Whether the padding has no name, and the kernels of a transposed convolution do not overlap."""
    if isinstance(layer, nn.Linear):
        return True
    padding = layer._padding
    if isinstance(padding, str) or (isinstance(padding, list | tuple) and len(padding) != 2):
        return False
    if isinstance(layer, nn.Conv2DTranspose):
        return _pair(layer._stride) == tuple(layer.weight.shape[2:]) and _pair(padding) == (0, 0)
    return True


def _pair(value: Any) -> tuple[int, int]:
    found = [int(one) for one in value] if isinstance(value, list | tuple) else [int(value)] * 2
    return found[0], found[-1]
