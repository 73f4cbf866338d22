"""A part of a network whose inner maps are not kept for the backward pass but computed again there.

For parts that are cheap to compute and large to keep, as a head at full resolution: on a CPU they set the peak memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import paddle
from paddle import Tensor, nn


def recomputed(function: Callable[[Tensor], Tensor], layer: nn.Layer, x: Tensor) -> Tensor:
    """`function(x)`, which uses parameters and batch norms of `layer`; the same values and gradients, to the last bit.

    The second computation leaves running statistics alone.
    """
    parameters = [parameter for parameter in layer.parameters() if not parameter.stop_gradient]
    if not paddle.is_grad_enabled() or not parameters:
        return function(x)
    return _Recomputed.apply(x, *parameters, function=function, layer=layer)


class _Recomputed(paddle.autograd.PyLayer):
    # The parameters are inputs: their gradients arrive as those of any operator, for which several devices wait.
    @staticmethod
    def forward(ctx, x, *parameters, function, layer):  # type: ignore[no-untyped-def]  # paddle's protocol
        ctx.save_for_backward(x, *parameters)
        ctx.wants_x = not x.stop_gradient
        ctx.function, ctx.layer = function, layer
        return function(x)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        x, *parameters = ctx.saved_tensor()
        copy = x.detach()
        copy.stop_gradient = not ctx.wants_x
        inputs = [copy, *parameters] if ctx.wants_x else parameters
        with paddle.enable_grad(), _fixed_statistics(ctx.layer.sublayers()):
            # A parameter that the function does not use has no gradient.
            gradients = paddle.grad(ctx.function(copy), inputs, gradient, allow_unused=True)
        return tuple(gradients) if ctx.wants_x else (None, *gradients)


@contextmanager
def _fixed_statistics(layers: Sequence[nn.Layer]) -> Iterator[None]:
    """Batch norms keep their running statistics, though they normalize by the batch."""
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm2D)]
    momenta = [norm._momentum for norm in norms]
    for norm in norms:
        norm._momentum = 1.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum
