"""Convolution of dynamic graphs on a CPU by oneDNN, with gradients."""

from __future__ import annotations

import functools
import logging

import paddle
from paddle import Tensor
from paddle.base.framework import _dygraph_tracer

from ocrexp.environment import tuned
from ocrexp.models.cpu import onednn
from ocrexp.models.cpu.onednn_convolution import Convolution

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
    kernels = _kernels(tuple(x.shape), tuple(weight.shape), stride, (padding, padding), groups, None)
    if kernels is None:
        return None
    x, weight = _contiguous(x), _contiguous(weight)
    if not paddle.is_grad_enabled() or (x.stop_gradient and weight.stop_gradient):
        return kernels.forward(x, weight)
    return _Conv2D.apply(x, weight, kernels)


def conv2x2_by_parity(x: Tensor, weights: list[Tensor]) -> Tensor | None:
    """Four 2×2 convolutions of [N, C, H, W] that fill a map [N, O, 2H, 2W], one each for even and odd rows and columns.

    `weights` [O, C, 2, 2] are in the order (row, column) = (even, even), (even, odd), (odd, even), (odd, odd). The
    windows of even rows (columns) reach one up (left), those of odd ones one down (right), over zeros at the border.
    None where oneDNN has no kernel for it.
    """
    shapes = tuple(x.shape), tuple(weights[0].shape)
    found = [_kernels(*shapes, (1, 1), ((1 - a, 1 - b), (a, b)), 1, (a, b)) for a in (0, 1) for b in (0, 1)]
    kernels = [each for each in found if each is not None]
    if len(kernels) < 4:
        return None
    return _ByParity.apply(_contiguous(x), *(_contiguous(weight) for weight in weights), kernels=kernels)


def add_bias(x: Tensor, bias: Tensor) -> Tensor:
    """[N, C, H, W] float32 with `bias` [C] added to each channel.

    paddle's addition of [1, C, 1, 1] has no fast case with N above 1: it takes up to ten times as long, which was half
    of a training step of networks without batch norms.
    """
    if not paddle.is_grad_enabled() or (x.stop_gradient and bias.stop_gradient):
        return _with_bias(x, bias)
    return _AddBias.apply(x, bias)


def _with_bias(x: Tensor, bias: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return (x.reshape([n * c, h * w]) + bias.tile([n]).reshape([n * c, 1])).reshape([n, c, h, w])


class _AddBias(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x, bias):  # type: ignore[no-untyped-def]
        ctx.wanted = (not x.stop_gradient, not bias.stop_gradient)
        return _with_bias(x, bias)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        of_x, of_bias = ctx.wanted
        return gradient if of_x else None, gradient.flatten(2).sum(-1).sum(0) if of_bias else None


def _contiguous(x: Tensor) -> Tensor:
    return x if x.is_contiguous() else x.contiguous()


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
        gradient = _contiguous(gradient)
        of_x, of_weight = ctx.wanted
        return (
            ctx.kernels.input_gradient(gradient, weight) if of_x else None,
            ctx.kernels.weight_gradient(x, gradient) if of_weight else None,
        )


class _ByParity(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x, *weights, kernels):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, *weights)
        ctx.kernels = kernels
        ctx.wanted = (not x.stop_gradient, not weights[0].stop_gradient)
        result = None
        for kernel, weight in zip(kernels, weights, strict=True):
            result = kernel.forward(x, weight, result)
        return result

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        x, *weights = ctx.saved_tensor()
        gradient = _contiguous(gradient)
        of_x, of_weight = ctx.wanted
        total = None
        for kernel, weight in zip(ctx.kernels, weights, strict=True) if of_x else ():
            part = kernel.input_gradient(gradient, weight)
            total = part if total is None else total.add_(part)
        of_weights = [kernel.weight_gradient(x, gradient) if of_weight else None for kernel in ctx.kernels]
        return (total, *of_weights)


# Evaluation sees many image sizes; each needs kernels of its own.
@functools.lru_cache(maxsize=1024)
def _kernels(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    groups: int,
    parity: tuple[int, int] | None,
) -> Convolution | None:
    library = onednn.library()
    if library is None:
        return None
    try:
        return Convolution(library, x, weight, stride, padding, groups, parity)
    except onednn.OneDNNError as error:
        _log.debug("convolution of %s by %s uses paddle's kernel: %s", x, weight, error)
        return None
