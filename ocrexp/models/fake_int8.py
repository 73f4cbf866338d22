"""Quantization-aware training: layers compute with values rounded as 8-bit integers have them (Jacob et al., arXiv
1712.05877), and learn to give the same results all the same.

Weights are rounded per output channel, symmetrically, inputs per tensor between a running minimum and maximum, as
`ocrexp.compress.int8` does when it quantizes an export. Gradients pass the rounding as if it were not there.
"""

from __future__ import annotations

from typing import Any

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import full_precision

_LAYERS = (nn.Conv2D, nn.Linear)
_KEEP = 0.9  # share of a range that a batch leaves as it is, as of a batch norm's statistics
_SMALLEST = 1e-8  # step of values that are all equal
_HOOKS = "_int8_hooks"


def round_layers(model: nn.Layer) -> None:
    """Make the convolutions and linear layers of a model compute with rounded weights and inputs, in training and in
    evaluation. Each gets a buffer `input_range`, the lowest and the highest input, [0, 0] until it is first trained."""
    for layer in model.sublayers():
        if isinstance(layer, _LAYERS):
            layer.register_buffer("input_range", paddle.zeros([2]))
            hooks = layer.register_forward_pre_hook(_round), layer.register_forward_post_hook(_restore)
            object.__setattr__(layer, _HOOKS, hooks)


def compute_in_float(model: nn.Layer) -> None:
    """Undo `round_layers`: the float network, of which an export makes integers."""
    for layer in model.sublayers():
        if _HOOKS in vars(layer):
            for hook in vars(layer).pop(_HOOKS):
                hook.remove()
            del layer.input_range


def _round(layer: nn.Layer, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    x, *rest = inputs
    with full_precision():
        weight = layer._parameters["weight"]
        vars(layer)["weight"] = _rounded_weight(weight, 1 if isinstance(layer, nn.Linear) else 0)
        if layer.training:
            _widen(layer.input_range, x)
        return (_rounded_input(x, layer.input_range), *rest)


def _restore(layer: nn.Layer, inputs: Any, output: Any) -> None:
    del inputs, output
    vars(layer).pop("weight", None)


def _rounded_weight(weight: Tensor, axis: int) -> Tensor:
    others = [place for place in range(weight.ndim) if place != axis]
    step = (weight.detach().abs().max(axis=others, keepdim=True) / 127).clip(min=_SMALLEST)
    return weight + ((weight / step).round() * step - weight).detach()


@paddle.no_grad()
def _widen(known: Tensor, x: Tensor) -> None:
    """The running range, with 0 always inside, as integers need it."""
    values = x.astype("float32")
    seen = paddle.stack([values.min().clip(max=0.0), values.max().clip(min=0.0)])
    new = (known[0] == known[1]).astype("float32")  # without reading it: a GPU would wait
    known.set_value(new * seen + (1 - new) * (_KEEP * known + (1 - _KEEP) * seen))


def _rounded_input(x: Tensor, known: Tensor) -> Tensor:
    low, high = known[0], known[1]
    step = ((high - low) / 255).clip(min=_SMALLEST)
    zero = (-low / step).round()
    inside = x.astype("float32").clip(min=-zero * step, max=(255 - zero) * step)
    rounded = inside + ((inside / step).round() * step - inside).detach()
    trained = high > low
    return paddle.where(trained, rounded, x.astype("float32")).astype(x.dtype)
