"""Deformable convolution, version 2 (Zhu et al., arXiv 1811.11168): each tap of a kernel moves and has a weight.

Names and shapes of the parameters are those of PaddleOCR's `DeformableConvV2`.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer
from paddle.vision.ops import DeformConv2D

from ocrexp.models.layers import Conv2D, full_precision


class DeformableConv2D(nn.Layer):
    """A convolution without bias whose taps a second convolution moves (offsets) and weighs (0..1).

    Offsets and weights start at 0 and one half: half an ordinary convolution.

    Args:
        in_channels: channels of the map.
        out_channels: channels of the result.
        kernel_size: odd; the map is padded by half of it.
        stride: of both convolutions.
        groups: groups of input channels with offsets of their own.

    `forward(x [N, in_channels, H, W])` gives [N, out_channels, H/stride, W/stride], computed in float32 in mixed
    precision too: an offset in half precision has the step of a pixel from 1024 on.
    """

    onnx_opset = 19  # DeformConv

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        taps = groups * kernel_size**2
        self._offsets = 2 * taps
        padding = kernel_size // 2
        self.conv_dcn = DeformConv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            deformable_groups=groups,
            bias_attr=False,
        )
        zeros = paddle.ParamAttr(initializer=initializer.Constant(0.0))
        self.conv_offset = Conv2D(
            in_channels, 3 * taps, kernel_size, stride=stride, padding=padding, weight_attr=zeros, bias_attr=zeros
        )

    def forward(self, x: Tensor) -> Tensor:
        with full_precision():
            x = x.astype("float32")
            moved = self.conv_offset(x)
            offsets, weights = moved[:, : self._offsets], moved[:, self._offsets :]
            return self.conv_dcn(x, offsets, mask=F.sigmoid(weights))
