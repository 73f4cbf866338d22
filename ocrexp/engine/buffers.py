"""The tensors of a model that a forward pass changes."""

from __future__ import annotations

import paddle
from paddle.nn.layer.norm import _BatchNormBase


def moving_tensors(model: paddle.nn.Layer) -> list[paddle.Tensor]:
    """Running means and variances (paddle keeps them as parameters without gradient) and what is saved as a buffer."""
    statistics = []
    for layer in model.sublayers(include_self=True):
        if isinstance(layer, _BatchNormBase):
            statistics += [layer._mean, layer._variance]
    known = {id(tensor) for tensor in statistics}
    saved = {id(tensor) for tensor in model.state_dict().values()}
    return statistics + [buffer for buffer in model.buffers() if id(buffer) in saved and id(buffer) not in known]
