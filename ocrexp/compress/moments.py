"""How the inputs of layers go together, so that the other inputs can take over what a removed one gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from paddle import Tensor, nn

from ocrexp.compress.disturbance import mixes_channels
from ocrexp.compress.products import (
    Floats,
    Places,
    Watcher,
    columns_at,
    input_channels,
    input_of,
    matrix_of,
    move_bias,
    normal_equations,
    set_matrix,
    solve,
    some_places,
    watch,
)
from ocrexp.models.model import OCRModel


class Moments(Watcher):
    """The second moments of what each layer that mixes channels reads, with a constant as the last input.

    Args:
        model: with its trained weights.
        images: as the network takes them, float32 [N, C, H, W] each; they run as one batch.

    `of` has them for each layer that is understood, float64 [inputs + 1, inputs + 1].
    """

    def __init__(self, model: OCRModel, images: Sequence[Floats]) -> None:
        self.of: dict[str, Floats] = {}
        layers = {name: layer for name, layer in model.named_sublayers() if mixes_channels(layer)}
        self._names = {id(layer): name for name, layer in layers.items()}
        self._rng = np.random.default_rng(0)
        watch(model, images, list(layers.values()), self)

    def after(self, layer: nn.Layer, inputs: Any, output: Tensor) -> None:
        name = self._names[id(layer)]
        places = some_places(layer, inputs, output, self._rng)
        if places is not None:
            found = normal_equations(columns_at(layer, input_of(inputs), places))
            self.of[name] = self.of[name] + found if name in self.of else found


def remove_inputs(layer: nn.Layer, channels: Places, moments: Floats | None) -> None:
    """Multiply input channels of a layer by 0, and let the others take over what can be told from them.

    Args:
        layer: its weights change in place.
        channels: the removed ones.
        moments: of its inputs; None: the other weights stay.
    """
    matrix = matrix_of(layer)
    gone = np.zeros(input_channels(layer), bool)
    gone[channels] = True
    gone = np.repeat(gone, len(matrix) // len(gone))
    if moments is not None:
        others = np.append(~gone, layer.bias is not None)
        change = solve(moments[np.ix_(others, others)], moments[np.ix_(others, np.append(gone, False))] @ matrix[gone])
        if layer.bias is not None:
            move_bias(layer, change[-1])
            change = change[:-1]
        matrix[~gone] += change
    matrix[gone] = 0
    set_matrix(layer, matrix)
