"""Blocks whose branches and batch norms fuse into one convolution for inference: PP-LCNetV4's, and RepViT's.

Names and shapes of the parameters are those of PaddleOCR 3.7's `rec_lcnetv4`.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.hooks import Branches
from ocrexp.models.layers import Conv2D, Stride, channels_of, folded


class FusableConvBN(nn.Layer):
    """Convolution without bias, batch norm; with `fused`, and after `fuse()`, one convolution with bias.

    A kernel of 2×2 and stride 1 keeps the size by one more row below and column at the right, as PaddleOCR's padding
    SAME.

    Args:
        gamma: start of the norm's scale.
        decays: whether the optimizer's L2 decay acts on the norm.
    """

    _name = "conv"  # of the convolution

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: Stride = 1,
        groups: int = 1,
        gamma: float = 1.0,
        decays: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        # One row more on each side, of which the first window is dropped before the norm: paddle2onnx makes a wrong
        # graph of a padding of its own.
        self._even = kernel_size % 2 == 0
        self._spec = {
            "in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size, "stride": stride,
            "padding": kernel_size // 2, "groups": groups,
        }  # fmt: skip
        self.add_sublayer(self._name, Conv2D(**self._spec, bias_attr=None if fused else False))
        regularizer = None if decays else paddle.regularizer.L2Decay(0.0)
        attr = paddle.ParamAttr(initializer=nn.initializer.Constant(gamma), regularizer=regularizer)
        shift = paddle.ParamAttr(initializer=nn.initializer.Constant(0.0), regularizer=regularizer)
        self.bn = None if fused else nn.BatchNorm2D(out_channels, weight_attr=attr, bias_attr=shift)

    @property
    def convolution(self) -> Conv2D:
        """The convolution, under its name in the parameters."""
        return getattr(self, self._name)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        if self._even:
            x = x[:, :, 1:, 1:]
        return x if self.bn is None else self.bn(x)

    @paddle.no_grad()
    def fuse(self) -> None:
        """Replaces both by one convolution with the same result in evaluation mode."""
        if self.bn is None:
            return
        fused = Conv2D(**{**self._spec, **channels_of(self.convolution)})
        weight, bias = folded(self.convolution.weight, self.bn)
        fused.weight.set_value(weight)
        fused.bias.set_value(bias)
        self.add_sublayer(self._name, fused)
        self.bn = None


class RepDWConv(nn.Layer):
    """Depthwise k×k convolution with norm + depthwise 1×1 convolution + identity, and a norm over the sum.

    Args:
        channels: of the map.
        kernel_size: of the first convolution, odd.
        fused: one convolution with bias in place of all.
        bias: the 1×1 convolution has one.
        conv_bn: class of the first convolution with its norm.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 3,
        fused: bool = False,
        bias: bool = False,
        conv_bn: type[FusableConvBN] = FusableConvBN,
    ) -> None:
        super().__init__()
        self._kernel_size = kernel_size
        self.reparam_conv = self._one_conv(channels) if fused else None
        if not fused:
            self.conv = conv_bn(channels, channels, kernel_size, groups=channels)
            self.conv1 = nn.Conv2D(channels, channels, 1, groups=channels, bias_attr=None if bias else False)
            self.bn = nn.BatchNorm2D(channels)

    def _one_conv(self, channels: int) -> Conv2D:
        size = self._kernel_size
        return Conv2D(channels, channels, size, padding=size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.reparam_conv is not None:
            return self.reparam_conv(x)
        # A depthwise 1×1 convolution is one factor per channel.
        y = self.conv(x) + x * (self.conv1.weight.reshape([1, -1, 1, 1]) + 1.0)
        return self.bn(y if self.conv1.bias is None else y + self.conv1.bias.reshape([1, -1, 1, 1]))

    def branches(self) -> Branches | None:
        """The k×k branch can take a deployed convolution, then the others add nothing; None if they are fused.

        The factors of -1 cancel the identity. The other way, factors of 0 and a kernel from which the identity is
        subtracted, makes a small result of two large terms, and batch statistics disturb it more.
        """
        if self.reparam_conv is not None:
            return None
        members = (self.conv, self.conv1, self.bn)
        weight, bias = self.conv1.weight, self.conv1.bias
        return Branches(self.conv.convolution, self.conv.bn, (), members, after=self.bn, factors=weight, offsets=bias)

    @paddle.no_grad()
    def fuse(self) -> None:
        """Replaces the branches by one convolution with the same result in evaluation mode."""
        if self.reparam_conv is not None:
            return
        self.conv.fuse()
        fused = self._one_conv(self.conv.convolution._out_channels)
        margin = self._kernel_size // 2
        kernel = self.conv.convolution.weight + F.pad(self.conv1.weight + 1.0, [margin] * 4)
        weight, bias = folded(kernel, self.bn)
        scale = self.bn.weight / paddle.sqrt(self.bn._variance + self.bn._epsilon)
        offset = self.conv.convolution.bias if self.conv1.bias is None else self.conv.convolution.bias + self.conv1.bias
        fused.weight.set_value(weight)
        fused.bias.set_value(bias + offset * scale)
        del self.conv, self.conv1, self.bn
        self.reparam_conv = fused
