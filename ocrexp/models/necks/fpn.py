"""The feature pyramid of PSENet (Wang et al., arXiv 1903.12473): four smoothed levels, joined at stride 4.

Names and shapes of the parameters are those of PaddleOCR's `FPN`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import ConvBN, bilinear_upsample


class FPN(nn.Layer):
    """Lateral 1×1 convolutions, top-down sums of bilinear upsampling, 3×3 smoothing, everything joined at stride 4.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of a level; the joined map has four times as many.

    `forward([c2, c3, c4, c5])` gives [N, 4 · out_channels, H/4, W/4], the finest level first.
    """

    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        if len(in_channels) != 4:
            raise ValueError(f"FPN joins 4 feature maps, the backbone gives {len(in_channels)}; choose another")
        c2, c3, c4, c5 = in_channels
        self.toplayer_ = _conv(c5, out_channels, 1)
        self.latlayer1_ = _conv(c4, out_channels, 1)
        self.latlayer2_ = _conv(c3, out_channels, 1)
        self.latlayer3_ = _conv(c2, out_channels, 1)
        self.smooth1_ = _conv(out_channels, out_channels, 3)
        self.smooth2_ = _conv(out_channels, out_channels, 3)
        self.smooth3_ = _conv(out_channels, out_channels, 3)
        self.out_channels = 4 * out_channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        c2, c3, c4, c5 = features
        p5 = self.toplayer_(c5)
        p4 = self.smooth1_(bilinear_upsample(p5, 2) + self.latlayer1_(c4))
        p3 = self.smooth2_(bilinear_upsample(p4, 2) + self.latlayer2_(c3))
        p2 = self.smooth3_(bilinear_upsample(p3, 2) + self.latlayer3_(c2))
        return paddle.concat([p2, bilinear_upsample(p3, 2), bilinear_upsample(p4, 4), bilinear_upsample(p5, 8)], axis=1)


def _conv(in_channels: int, out_channels: int, kernel_size: int) -> ConvBN:
    """PaddleOCR's start, and its momentum: nine tenths of a running statistic are those of the last batch."""
    deviation = math.sqrt(2 / (kernel_size**2 * out_channels))
    return ConvBN(in_channels, out_channels, kernel_size, deviation=deviation, momentum=0.1)
