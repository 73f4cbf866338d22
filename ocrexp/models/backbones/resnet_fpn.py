"""SRN's backbone (Yu et al., arXiv 2003.12294): a ResNet whose last two stages keep the size, and a pyramid over three.

Names and shapes of the parameters are those of PaddleOCR's `rec_resnet_fpn`.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D, relu

_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_CHANNELS, _STRIDES = (64, 128, 256, 512), (2, 2, 1, 1)
_OUT = 512


class DilatableConvBN(nn.Layer):
    """Convolution without bias and batch norm. `dilated`: a kernel of 2×2 whose taps are 2 apart, in place of 3×3."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        dilated: bool = False,
        activate: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        if dilated:
            self.conv = nn.Conv2D(in_channels, channels, 2, padding=padding, dilation=2, bias_attr=False)
        else:
            self.conv = Conv2D(in_channels, channels, kernel, stride=stride, padding=padding, bias_attr=False)
        self.bn = nn.BatchNorm2D(channels)
        self._activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return relu(x) if self._activate else x


class Shortcut(nn.Layer):
    """A 1×1 convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = DilatableConvBN(in_channels, channels, 1, stride, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Block(nn.Layer):
    """Two 3×3 convolutions, or with `bottleneck` 1×1, 3×3, 1×1 with four times the channels; `first` of its stage."""

    def __init__(self, in_channels: int, channels: int, stride: int, first: bool, bottleneck: bool) -> None:
        super().__init__()
        dilated = first and stride == 1
        self.out_channels = channels * 4 if bottleneck else channels
        if bottleneck:
            self.conv0 = DilatableConvBN(in_channels, channels, 1)
            self.conv1 = DilatableConvBN(channels, channels, 3, stride, dilated)
            self.conv2 = DilatableConvBN(channels, self.out_channels, 1, activate=False)
        else:
            self.conv0 = DilatableConvBN(in_channels, channels, 3, stride, dilated)
            self.conv1 = DilatableConvBN(channels, channels, 3, activate=False)
        self.short = Shortcut(in_channels, self.out_channels, stride) if first else None
        self._layers = (self.conv0, self.conv1, *([self.conv2] if bottleneck else []))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self._layers:
            y = layer(y)
        return relu(y + (x if self.short is None else self.short(x)))


class ResNetFPN(nn.Layer):
    """SRN's backbone.

    Args:
        in_channels: channels of the image.
        layers: 18, 34, 50, 101 or 152.

    `forward(images [N, in_channels, H, W])` gives [N, 512, H / 8, W / 8].
    """

    def __init__(self, in_channels: int = 1, layers: int = 50) -> None:
        super().__init__()
        if layers not in _DEPTHS:
            raise ValueError(f"layers: expected one of {', '.join(map(str, _DEPTHS))}, got {layers}")
        bottleneck = layers >= 50
        self.conv = DilatableConvBN(in_channels, 64, 7, stride=2)
        self._stages: list[list[nn.Layer]] = []
        before = 64
        for stage, (depth, channels, stride) in enumerate(zip(_DEPTHS[layers], _CHANNELS, _STRIDES, strict=True)):
            self._stages.append([])
            for index in range(depth):
                block = Block(before, channels, stride if index == 0 else 1, index == 0, bottleneck)
                name = f"bottleneckBlock_{stage}_{index}" if bottleneck else f"res{stage + 2}{chr(ord('a') + index)}"
                self._stages[-1].append(self.add_sublayer(name, block))
                before = block.out_channels
        for level, channels in ((-2, before // 2), (-3, before // 4)):
            joined = 3 * channels  # the map above has twice the channels
            self.add_sublayer(f"F_{level}_base_block_0", nn.Conv2D(joined, channels, 1))
            self.add_sublayer(f"F_{level}_base_block_1", nn.Conv2D(channels, channels, 3, padding=1))
            self.add_sublayer(f"F_{level}_base_block_2", nn.BatchNorm2D(channels))
        self.add_sublayer("F_-3_base_block_3", nn.Conv2D(before // 4, _OUT, 1))
        self.out_channels = _OUT

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        maps = []
        for stage in self._stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        for level in (-2, -3):
            x = paddle.concat([x, maps[level]], axis=1)
            for index in range(2):
                x = getattr(self, f"F_{level}_base_block_{index}")(x)
            x = relu(getattr(self, f"F_{level}_base_block_2")(x))
        return getattr(self, "F_-3_base_block_3")(x)
