"""Operators that several networks share."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F


def make_divisible(value: float, divisor: int = 8) -> int:
    """Nearest multiple of `divisor`, at least `divisor`, never below 90 % of `value` (MobileNetV3's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def nearest_upsample(x: Tensor, factor: int) -> Tensor:
    """Repeats each value of [N, C, H, W] `factor` × `factor` times: nearest interpolation by a whole factor.

    Written as expand + reshape: several times faster than paddle's nearest kernel on a CPU, equal to the last bit, and
    unlike it accepted by oneDNN in exported graphs.
    """
    if factor == 1:
        return x
    n, c, h, w = x.shape
    expanded = x.reshape([0, 0, h, 1, w, 1]).expand([-1, -1, h, factor, w, factor])
    del n
    return expanded.reshape([0, c, h * factor, w * factor])


class DepthwiseConv2D(nn.Conv2D):
    """`nn.Conv2D` with as many groups as channels, no bias and padding k // 2; faster on a CPU where the map is small.

    Paddle's depthwise kernel for CPUs is 3 to 6 times slower than need be for 5×5 kernels on maps two to four pixels
    high. There the convolution of a channel is done as a product with the matrix that it is, one matrix a channel; the
    results are equal up to rounding. Exported graphs, GPUs and large maps keep the convolution.
    """

    # Where the product wins, measured: cost of a multiply-add of the kernel over one of the matrix product.
    _RATIO = 20

    def __init__(self, channels: int, kernel_size: int, stride: int | tuple[int, int] = 1, **attributes: Any) -> None:
        super().__init__(
            channels,
            channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=channels,
            bias_attr=False,
            **attributes,
        )
        self._side = kernel_size
        self._strides = (stride, stride) if isinstance(stride, int) else (stride[0], stride[1])

    def forward(self, x: Tensor) -> Tensor:
        if not (paddle.in_dynamic_mode() and x.place.is_cpu_place() and x.dtype == paddle.float32):
            return super().forward(x)
        count, channels, height, width = x.shape
        taps = self._side**2
        if height * width * (count + taps) > self._RATIO * count * taps:
            return super().forward(x)
        places, (out_height, out_width) = _tap_places(self._side, self._strides, height, width)
        matrices = paddle.matmul(self.weight.reshape([channels, taps]), paddle.to_tensor(places))
        matrices = matrices.reshape([channels, height * width, out_height * out_width])
        y = paddle.matmul(x.flatten(2).transpose([1, 0, 2]), matrices)
        return y.transpose([1, 0, 2]).reshape([count, channels, out_height, out_width])


@functools.lru_cache(maxsize=32)
def _tap_places(
    side: int, strides: tuple[int, int], height: int, width: int
) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
    """[side², pixels in · pixels out]: 1 where a tap of the kernel leads from a pixel to a pixel; and the size out."""
    out_height = (height + 2 * (side // 2) - side) // strides[0] + 1
    out_width = (width + 2 * (side // 2) - side) // strides[1] + 1
    vertical = _tap_places_1d(side, strides[0], height, out_height)
    horizontal = _tap_places_1d(side, strides[1], width, out_width)
    places = np.einsum("iab,jcd->ijacbd", vertical, horizontal)
    return places.reshape(side**2, -1), (out_height, out_width)


def _tap_places_1d(side: int, stride: int, size: int, out_size: int) -> npt.NDArray[np.float32]:
    tap, source, target = np.ogrid[:side, :size, :out_size]
    return (source == target * stride + tap - side // 2).astype(np.float32)


class SqueezeExcite(nn.Layer):
    """Channel attention of MobileNetV3: global mean → 1×1 conv, ReLU → 1×1 conv, hard sigmoid → scale.

    `slope` is that of the hard sigmoid: PaddleOCR's MobileNetV3 has 0.2, its later networks 1/6.
    """

    def __init__(self, channels: int, reduction: int = 4, slope: float = 0.2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(channels, channels // reduction, 1)
        self.conv2 = nn.Conv2D(channels // reduction, channels, 1)
        self._slope = slope

    def forward(self, x: Tensor) -> Tensor:
        gate = F.adaptive_avg_pool2d(x, 1)
        gate = F.relu(self.conv1(gate))
        gate = F.hardsigmoid(self.conv2(gate), slope=self._slope, offset=0.5)
        return x * gate


class DropPath(nn.Layer):
    """Stochastic depth (Huang et al., arXiv 1603.09382): in training drops the whole branch of a sample."""

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if self.drop_prob == 0 or not self.training:
            return x
        kept = paddle.rand([x.shape[0]] + [1] * (x.ndim - 1)) >= self.drop_prob
        return x * (kept.astype(x.dtype) / (1 - self.drop_prob))


def initialize_transformer(layer: nn.Layer) -> None:
    """Linear weights from a normal of deviation 0.02 cut at two deviations, their biases 0 (ViT's start)."""
    draw, zero = nn.initializer.TruncatedNormal(std=0.02), nn.initializer.Constant(0.0)
    for sublayer in layer.sublayers(include_self=True):
        if isinstance(sublayer, nn.Linear):
            draw(sublayer.weight)
            if sublayer.bias is not None:
                zero(sublayer.bias)


def count_parameters(layer: nn.Layer) -> int:
    """Number of trainable values."""
    return sum(int(p.size) for p in layer.parameters() if not p.stop_gradient)


def is_batch_norm(layer: nn.Layer) -> bool:
    """Whether `layer` keeps running statistics (also its multi-device form)."""
    return isinstance(layer, nn.layer.norm._BatchNormBase | paddle.nn.BatchNorm)
