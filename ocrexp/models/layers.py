"""Operators that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.cpu import conv as cpu

Stride = int | tuple[int, int]  # of both directions, or of height and width


def make_divisible(value: float, divisor: int = 8) -> int:
    """Nearest multiple of `divisor`, at least `divisor`, never below 90 % of `value` (MobileNetV3's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


# Pixels of a map up to which 1×1 convolutions are done as one batched matrix product (measured with batches of 64).
_SMALL = 512


class Conv2D(nn.Conv2D):
    """`paddle.nn.Conv2D`, the same parameters and results; faster on a CPU in the plain case.

    Plain is: a stride and a zero padding for each direction, no dilation, channels first.
    """

    def forward(self, x: Tensor) -> Tensor:
        padding = self._updated_padding
        plain = (
            not isinstance(self._padding, str)
            and len(padding) == 2
            and {*self._dilation} == {1}
            and self._padding_mode == "zeros"
            and self._data_format == "NCHW"
        )
        if not plain:
            return super().forward(x)
        return conv2d(x, self.weight, self.bias, self._stride, padding, self._groups)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    groups: int = 1,
) -> Tensor:
    """As `paddle.nn.functional.conv2d`, faster on a CPU; pairs are (height, width).

    1×1 convolutions are plain matrix products already and stay with paddle, which takes the images one by one; where
    they are small (lines of text), one batched product is a third faster over a whole recognizer.
    """
    stride, padding = _pair(stride), _pair(padding)
    if cpu.applies(x):
        pointwise = tuple(weight.shape[2:]) == (1, 1)
        if not pointwise:
            y = cpu.conv2d(x, weight, stride, padding, groups)
        elif groups == 1 and stride == (1, 1) and padding == (0, 0) and 1 < x.shape[2] * x.shape[3] <= _SMALL:
            product = paddle.matmul(weight.flatten(1), x.flatten(2))
            y = product.reshape([x.shape[0], weight.shape[0], x.shape[2], x.shape[3]])
        else:
            y = None
        if y is None:
            y = F.conv2d(x, weight, stride=stride, padding=padding, groups=groups)
        return y if bias is None else cpu.add_bias(y, bias)
    return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)


def half_padded_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: Stride = 1,
    groups: int = 1,
    draw: nn.initializer.Initializer | None = None,
    bias: bool = False,
) -> Conv2D:
    """A convolution padded by half its size; `draw` starts its weights (None: paddle's own way)."""
    return Conv2D(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        weight_attr=None if draw is None else paddle.ParamAttr(initializer=draw),
        bias_attr=None if bias else False,
    )


class ConvBN(nn.Layer):
    """Convolution without bias, padded by half its size, batch norm, and ReLU unless `activate` is False.

    Args:
        in_channels: channels of the map.
        out_channels: channels of the result.
        kernel_size: odd.
        activate: whether ReLU follows.
        deviation: of the normal distribution from which the weights are drawn; None: paddle's initializer.
        momentum: share of the norm's running statistics that a batch leaves as it is.
        stride: 1 keeps the size.
        groups: of the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        activate: bool = True,
        deviation: float | None = None,
        momentum: float = 0.9,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        draw = None if deviation is None else nn.initializer.Normal(0.0, deviation)
        self.conv = half_padded_conv(in_channels, out_channels, kernel_size, stride, groups, draw)
        self.bn = nn.BatchNorm2D(out_channels, momentum=momentum)
        self._activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return relu(x) if self._activate else x


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def full_precision() -> AbstractContextManager[None]:
    """Inside it nothing is cast to half precision, whatever the training's precision is."""
    return paddle.amp.auto_cast(enable=False) if cpu.casts() else nullcontext()


def permuted(weight: Tensor, axes: Sequence[int]) -> Tensor:
    """`weight.transpose(axes)` whose gradient is contiguous too.

    paddle's own gives a parameter a strided gradient, and its reducer, which adds up the gradients of several devices,
    reads such memory in the wrong order.
    """
    return _Permuted.apply(weight, axes=tuple(axes))


class _Permuted(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x, axes):  # type: ignore[no-untyped-def]  # paddle's protocol
        ctx.inverse = sorted(range(len(axes)), key=axes.__getitem__)
        return x.transpose(axes).contiguous()

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return gradient.transpose(ctx.inverse).contiguous()


def relu(x: Tensor) -> Tensor:
    """ReLU in the memory of `x`, which nothing else may need (a norm's or a sum's)."""
    return F.relu_(x) if paddle.in_dynamic_mode() else F.relu(x)


def gelu(x: Tensor) -> Tensor:
    """Exact GELU. paddle's function is looked up at each call: an export for Paddle 2 puts another in its place."""
    return F.gelu(x)


class GELU(nn.Layer):
    """The same as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return gelu(x)


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


def bilinear_upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear interpolation of [N, C, H, W] by a whole factor, corners not aligned.

    In an exported graph as sums of neighbors: paddle2onnx and oneDNN refuse paddle's own there, which is faster.
    """
    if paddle.in_dynamic_mode():
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return bilinear_by_sums(x, factor)


def bilinear_by_sums(x: Tensor, factor: int) -> Tensor:
    """`bilinear_upsample` in operators that every runtime has."""
    above, below = (
        paddle.concat([x[:, :, :1], x[:, :, :-1]], axis=2),
        paddle.concat([x[:, :, 1:], x[:, :, -1:]], axis=2),
    )
    x = paddle.stack(_between(above, x, below, factor), axis=3).flatten(2, 3)
    left = paddle.concat([x[:, :, :, :1], x[:, :, :, :-1]], axis=3)
    right = paddle.concat([x[:, :, :, 1:], x[:, :, :, -1:]], axis=3)
    return paddle.stack(_between(left, x, right, factor), axis=4).flatten(3, 4)


def _between(before: Tensor, x: Tensor, after: Tensor, factor: int) -> list[Tensor]:
    """The `factor` values in place of each one of `x`, between it and its neighbors in one direction."""
    values = []
    for step in range(factor):
        distance = (step + 0.5) / factor - 0.5
        other = before if distance < 0 else after
        values.append(x * (1 - abs(distance)) + other * abs(distance))
    return values


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
        gate = relu(self.conv1(gate))
        gate = F.hardsigmoid(self.conv2(gate), slope=self._slope, offset=0.5)
        return x * gate


def folded(weight: Tensor, norm: nn.Layer) -> tuple[Tensor, Tensor]:
    """Kernel [out, in, h, w] and bias of one convolution that equals one without bias and the batch norm after it, in
    evaluation mode."""
    scale = norm.weight / paddle.sqrt(norm._variance + norm._epsilon)
    return weight * scale.reshape([-1, 1, 1, 1]), norm.bias - norm._mean * scale


def channels_of(conv: nn.Layer) -> dict[str, int]:
    """The numbers of channels of a convolution, as its arguments; pruning changes them after it was built."""
    return {"in_channels": conv._in_channels, "out_channels": conv._out_channels, "groups": conv._groups}


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
