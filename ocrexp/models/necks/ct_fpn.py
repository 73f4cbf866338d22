"""The pyramid of CT (Sheng et al., arXiv 2107.05945): two feature pyramid enhancement modules, as in PAN (Wang et al.,
arXiv 1908.05900), over four levels, and one map at stride 4 from them.

Names and shapes of the parameters are those of PaddleOCR's `CTFPN`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D, ConvBN, bilinear_upsample
from ocrexp.models.necks.db_fpn import check_channels


class FPEM(nn.Layer):
    """Four levels are summed from the coarsest to the finest and back; a depthwise 3×3 and a 1×1 convolution follow
    each sum. `forward` takes and gives maps [N, channels, H/s, W/s] at strides 4, 8, 16, 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()

        def depthwise(stride: int) -> Conv2D:
            return Conv2D(channels, channels, 3, stride=stride, padding=1, groups=channels, bias_attr=False)

        # The order of the parameters is that of PaddleOCR's files.
        for level in (3, 2, 1):
            self.add_sublayer(f"dwconv{level}_1", depthwise(1))
            self.add_sublayer(f"smooth_layer{level}_1", _pointwise(channels, channels))
        for level in (2, 3, 4):
            self.add_sublayer(f"dwconv{level}_2", depthwise(2))
            self.add_sublayer(f"smooth_layer{level}_2", _pointwise(channels, channels))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        f1, f2, f3, f4 = levels
        f3 = self.smooth_layer3_1(self.dwconv3_1(bilinear_upsample(f4, 2) + f3))
        f2 = self.smooth_layer2_1(self.dwconv2_1(bilinear_upsample(f3, 2) + f2))
        f1 = self.smooth_layer1_1(self.dwconv1_1(bilinear_upsample(f2, 2) + f1))
        f2 = self.smooth_layer2_2(self.dwconv2_2(bilinear_upsample(f2, 2) + f1))
        f3 = self.smooth_layer3_2(self.dwconv3_2(bilinear_upsample(f3, 2) + f2))
        f4 = self.smooth_layer4_2(self.dwconv4_2(bilinear_upsample(f4, 2) + f3))
        return [f1, f2, f3, f4]


def _pointwise(in_channels: int, out_channels: int) -> ConvBN:
    return ConvBN(in_channels, out_channels, 1, deviation=math.sqrt(2 / out_channels))


class CTFPN(nn.Layer):
    """Each level is reduced to `level_channels`, enhanced twice, and the sums of both are joined at stride 4.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        level_channels: channels of each level; PaddleOCR's is always 128.

    `forward([c2, c3, c4, c5])` gives [N, 4 · level_channels, H/4, W/4], the finest level first.
    """

    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], level_channels: int = 128) -> None:
        super().__init__()
        check_channels(type(self).__name__, in_channels, 4 * level_channels)
        self.out_channels = 4 * level_channels
        for level, channels in enumerate(in_channels, start=1):
            self.add_sublayer(f"reduce_layer{level}", _pointwise(channels, level_channels))
        self.fpem1 = FPEM(level_channels)
        self.fpem2 = FPEM(level_channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        c2, c3, c4, c5 = features
        reduced = [self.reduce_layer1(c2), self.reduce_layer2(c3), self.reduce_layer3(c4), self.reduce_layer4(c5)]
        first = self.fpem1(reduced)
        second = self.fpem2(first)
        sums = [first[level] + second[level] for level in range(4)]
        return paddle.concat(
            [sums[0], bilinear_upsample(sums[1], 2), bilinear_upsample(sums[2], 4), bilinear_upsample(sums[3], 8)],
            axis=1,
        )
