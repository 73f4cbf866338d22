"""Convolution of dynamic graphs on a CPU by oneDNN, with gradients."""

from __future__ import annotations

import functools
import logging

import paddle
from paddle import Tensor
from paddle.base.framework import _dygraph_tracer

from ocrexp.environment import tuned
from ocrexp.models.cpu import onednn

_log = logging.getLogger(__name__)


def applies(x: Tensor) -> bool:
    """Whether the kernels of this package may take `x`: a float32 tensor of a dynamic graph on a CPU, without AMP."""
    return paddle.in_dynamic_mode() and x.place.is_cpu_place() and x.dtype == paddle.float32 and not casts() and tuned()


def casts() -> bool:
    """Whether operators run in mixed precision (AMP)."""
    tracer = _dygraph_tracer()
    return tracer is not None and tracer._amp_level != paddle.base.core.AmpLevel.O0


def conv2d(
    x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int = 1
) -> Tensor | None:
    """As `paddle.nn.functional.conv2d` without bias and dilation, float32; None where oneDNN has no kernel for it."""
    kernels = _kernels(tuple(x.shape), tuple(weight.shape), stride, padding, groups)
    if kernels is None:
        return None
    x = x.contiguous()
    if not paddle.is_grad_enabled() or (x.stop_gradient and weight.stop_gradient):
        return kernels.forward(x, weight)
    return _Conv2D.apply(x, weight, kernels)


class _Conv2D(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x, weight, kernels):  # type: ignore[no-untyped-def]  # paddle's protocol
        ctx.save_for_backward(x, weight)
        ctx.kernels = kernels
        ctx.wanted = (not x.stop_gradient, not weight.stop_gradient)
        return kernels.forward(x, weight)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensor()
        gradient = gradient.contiguous()
        of_x, of_weight = ctx.wanted
        return (
            ctx.kernels.input_gradient(gradient, weight) if of_x else None,
            ctx.kernels.weight_gradient(x, gradient) if of_weight else None,
        )


# Evaluation sees many image sizes; each needs kernels of its own.
@functools.lru_cache(maxsize=1024)
def _kernels(
    x: tuple[int, ...], weight: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int], groups: int
) -> onednn.Convolution | None:
    library = onednn.library()
    if library is None:
        return None
    try:
        return onednn.Convolution(library, x, weight, stride, padding, groups)
    except onednn.OneDNNError as error:
        _log.debug("convolution of %s by %s stays with paddle: %s", x, weight, error)
        return None
