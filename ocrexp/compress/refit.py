"""Layers that read fewer channels after pruning are fitted again, so that they give what they gave before.

Least squares, layer by layer from the input on, as in He et al., arXiv 1707.06168: a layer sees what the pruned network
gives it, and its new weights are those that come nearest to the values of the whole network. No gradient is needed. The
fine-tuning then starts near the trained network instead of near a random one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from paddle import Tensor, nn

from ocrexp.compress.disturbance import mixes_channels
from ocrexp.compress.products import (
    Floats,
    Places,
    Watcher,
    bias_of,
    columns_at,
    input_channels,
    input_of,
    matrix_of,
    move_bias,
    normal_equations,
    results_at,
    set_matrix,
    solve,
    some_places,
    watch,
)
from ocrexp.compress.pruning import GroupChoice
from ocrexp.models.model import OCRModel

Kept = Mapping[str, npt.NDArray[np.bool_]]  # layer → which of its input channels stay


def refit(model: OCRModel, choices: Sequence[GroupChoice], images: Sequence[Floats]) -> int:
    """Fit the layers that mix channels again, without the channels that `choices` removes; call it before `prune`.

    Args:
        model: the whole network with its trained weights, which change in place.
        choices: what stays of each group.
        images: as the network takes them, float32 [N, C, H, W] each; they run as one batch.

    Returns the number of layers that were fitted. A layer that is not understood, or runs twice, keeps its weights.
    """
    layers = dict(model.named_sublayers())
    kept = _kept_inputs(layers, choices)
    expected = _Expected({id(layers[name]): name for name in kept})
    watch(model, images, [layers[name] for name in kept], expected)
    for name, stays in kept.items():
        matrix = matrix_of(layers[name])
        set_matrix(layers[name], matrix * _inputs(stays, matrix)[:, None])
    found = expected.found()
    watch(
        model, images, [layers[name] for name in found], _Fit({id(layers[name]): name for name in found}, kept, found)
    )
    return len(found)


def _kept_inputs(layers: Mapping[str, nn.Layer], choices: Sequence[GroupChoice]) -> Kept:
    kept = {name: np.ones(input_channels(layer), bool) for name, layer in layers.items() if mixes_channels(layer)}
    for choice in choices:
        removed = np.setdiff1d(np.arange(choice.group.channels), choice.kept)
        for place in choice.group.places:
            if place.mixes:
                kept[place.layer][place.first + removed] = False
    return kept


def _inputs(stays: npt.NDArray[np.bool_], matrix: Floats) -> npt.NDArray[np.bool_]:
    """Which rows of a matrix stay: a channel may have several."""
    return np.repeat(stays, len(matrix) // len(stays))


class _Expected(Watcher):
    """What the whole network gives at some places of each layer."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._rng = np.random.default_rng(0)
        self._rows: dict[str, tuple[Places, Floats] | None] = {}

    def after(self, layer: nn.Layer, inputs: Any, output: Tensor) -> None:
        name = self._names[id(layer)]
        places = None if name in self._rows else some_places(layer, inputs, output, self._rng)
        self._rows[name] = None if places is None else (places, results_at(layer, output, places))

    def found(self) -> dict[str, tuple[Places, Floats]]:
        """Places and values of the layers that are understood, and run once."""
        return {name: rows for name, rows in self._rows.items() if rows is not None}


class _Fit(Watcher):
    """Fits each layer before it runs on what the pruned network gives it."""

    def __init__(self, names: Mapping[int, str], kept: Kept, expected: Mapping[str, tuple[Places, Floats]]) -> None:
        self._names, self._kept, self._expected = names, kept, expected

    def before(self, layer: nn.Layer, inputs: Any) -> None:
        name = self._names[id(layer)]
        places, rows = self._expected[name]
        matrix = matrix_of(layer)
        stays = _inputs(self._kept[name], matrix)
        columns = columns_at(layer, input_of(inputs), places)[:, stays]
        missing = rows - bias_of(layer) - columns @ matrix[stays]
        square = normal_equations(columns)
        right = np.concatenate([columns.T @ missing, missing.sum(axis=0, keepdims=True)])
        if layer.bias is None:
            square, right = square[:-1, :-1], right[:-1]
        change = solve(square, right)
        if layer.bias is not None:
            move_bias(layer, change[-1])
            change = change[:-1]
        matrix[stays] += change
        set_matrix(layer, matrix)
