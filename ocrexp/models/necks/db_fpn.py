"""The feature pyramid of DB (Liao et al., arXiv 1911.08947): one map at stride 4 from four.

Names and shapes of the parameters are those of PaddleOCR's `DBFPN`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import initializer

from ocrexp.models.cpu import conv as cpu
from ocrexp.models.cpu.upsample import TwoLevels, composed, conv3x3_of_doubled
from ocrexp.models.layers import Conv2D, conv2d, nearest_upsample


class DBFPN(nn.Layer):
    """Lateral 1×1 convolutions, top-down sums, a 3×3 convolution a level, everything brought to stride 4 and joined.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the joined map, a multiple of 4.

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4]; the levels stand from the coarsest to the finest. On
    a CPU, for a head that takes them, the coarser levels stay at stride 8 (`TwoLevels`).
    """

    # Of an image whose sides are no multiples of it the levels do not double into each other.
    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        if len(in_channels) != 4:
            raise ValueError(f"DBFPN joins 4 feature maps, the backbone gives {len(in_channels)}; choose another")
        if out_channels % 4 or out_channels <= 0:
            raise ValueError(f"out_channels={out_channels}: must be a multiple of 4")
        self.out_channels = out_channels
        weight = paddle.ParamAttr(initializer=initializer.KaimingUniform())

        def conv(channels_in: int, channels_out: int, kernel_size: int) -> Conv2D:
            return Conv2D(
                channels_in,
                channels_out,
                kernel_size,
                padding=kernel_size // 2,
                weight_attr=weight,
                bias_attr=False,
            )

        self.in2_conv, self.in3_conv, self.in4_conv, self.in5_conv = (conv(c, out_channels, 1) for c in in_channels)
        self.p5_conv, self.p4_conv, self.p3_conv, self.p2_conv = (
            conv(out_channels, out_channels // 4, 3) for _ in range(4)
        )

        # Set by the model when the head takes `TwoLevels`.
        self.keep_levels_apart = False

    def forward(self, features: Sequence[Tensor]) -> Tensor | TwoLevels:
        c2, c3, c4, c5 = features
        if cpu.applies(c2):
            apart = self._two_levels(features)
            return apart if self.keep_levels_apart else apart.joined()
        out5 = self.in5_conv(c5)
        out4 = self.in4_conv(c4) + nearest_upsample(out5, 2)
        out3 = self.in3_conv(c3) + nearest_upsample(out4, 2)
        out2 = self.in2_conv(c2) + nearest_upsample(out3, 2)
        levels = [
            nearest_upsample(self.p5_conv(out5), 8),
            nearest_upsample(self.p4_conv(out4), 4),
            nearest_upsample(self.p3_conv(out3), 2),
            self.p2_conv(out2),
        ]
        return paddle.concat(levels, axis=1)

    def _two_levels(self, features: Sequence[Tensor]) -> TwoLevels:
        """The same without maps of `out_channels` at stride 4, which take most of the time and memory on a CPU.

        The finest level is a sum of two linear maps: of c2 (the lateral convolution and the 3×3 one are composed) and
        of the next coarser level, doubled.
        """
        c2, c3, c4, c5 = features
        out5 = self.in5_conv(c5)
        out4 = self.in4_conv(c4) + nearest_upsample(out5, 2)
        out3 = self.in3_conv(c3) + nearest_upsample(out4, 2)
        weight = self.p2_conv.weight
        finest = conv2d(c2, composed(weight, self.in2_conv.weight), None, 1, 1) + conv3x3_of_doubled(out3, weight)
        coarser = [
            nearest_upsample(self.p5_conv(out5), 4),
            nearest_upsample(self.p4_conv(out4), 2),
            self.p3_conv(out3),
        ]
        return TwoLevels(half=paddle.concat(coarser, axis=1), full=finest)
