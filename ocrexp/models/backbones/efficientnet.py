"""EfficientNet-b3 (Tan and Le, arXiv 1905.11946) as PREN's backbone: three of its maps.

Names and shapes of the parameters are those of PaddleOCR's `rec_efficientb3_pren`.
"""

from __future__ import annotations

import math

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D, DropPath, make_divisible

_WIDTH, _DEPTH, _DROP_PATH = 1.2, 1.4, 0.2
# Of each stage of b0: blocks, kernel, stride, factor of the inner channels, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_GIVEN = (2, 4, 6)  # stages whose maps are given


class MBConv(nn.Layer):
    """Expansion, depthwise convolution, squeeze and excitation, projection; a shortcut where `repeat` is true."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, factor: int, repeat: bool, drop_path: float
    ) -> None:
        super().__init__()
        inner, squeezed = in_channels * factor, max(1, in_channels // 4)
        self._expands, self._repeat = factor != 1, repeat
        if self._expands:
            self._expand_conv = Conv2D(in_channels, inner, 1, bias_attr=False)
            self._bn0 = nn.BatchNorm2D(inner)
        self._depthwise_conv = _same_size(inner, inner, kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2D(inner)
        self._se_reduce = nn.Conv2D(inner, squeezed, 1)
        self._se_expand = nn.Conv2D(squeezed, inner, 1)
        self._project_conv = Conv2D(inner, channels, 1, bias_attr=False)
        self._bn2 = nn.BatchNorm2D(channels)
        self._drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = F.swish(self._bn0(self._expand_conv(x))) if self._expands else x
        y = F.swish(self._bn1(self._depthwise_conv(y)))
        gate = self._se_expand(F.swish(self._se_reduce(F.adaptive_avg_pool2d(y, 1))))
        y = self._bn2(self._project_conv(F.sigmoid(gate) * y))
        return self._drop_path(y) + x if self._repeat else y


def _same_size(in_channels: int, channels: int, kernel: int, stride: int, groups: int = 1) -> Conv2D:
    """A convolution whose result is 1 / stride as large, rounded up; an odd padding has one more behind than before."""
    padding = kernel // 2 if stride == 1 else "SAME"
    return Conv2D(in_channels, channels, kernel, stride=stride, padding=padding, groups=groups, bias_attr=False)


class EfficientNetB3(nn.Layer):
    """PREN's backbone.

    Args:
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives maps of 48, 136 and 384 channels at strides 8, 16 and 32.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        before = make_divisible(32 * _WIDTH)
        self._conv_stem = _same_size(in_channels, before, 3, 2)
        self._bn0 = nn.BatchNorm2D(before)
        depths = [math.ceil(_DEPTH * stage[0]) for stage in _STAGES]
        self._stages: list[list[nn.Layer]] = []
        self.out_channels: list[int] = []
        for stage, (_, kernel, stride, factor, plain) in enumerate(_STAGES):
            channels = make_divisible(plain * _WIDTH)
            self._stages.append([])
            for index in range(depths[stage]):
                drop_path = _DROP_PATH * (sum(depths[:stage]) + index) / sum(depths)
                block = MBConv(before, channels, kernel, 1 if index else stride, factor, index > 0, drop_path)
                self._stages[-1].append(self.add_sublayer(f"{stage}-{index}", block))
                before = channels
            if stage in _GIVEN:
                self.out_channels.append(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.swish(self._bn0(self._conv_stem(x)))
        maps = []
        for number, stage in enumerate(self._stages):
            for block in stage:
                x = block(x)
            if number in _GIVEN:
                maps.append(x)
        return maps
