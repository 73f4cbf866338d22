"""ResNet-vd (He et al., arXiv 1812.01187, variant D): three 3×3 convolutions as stem, average pooling in shortcuts.

Names and shapes of the parameters are those of PaddleOCR's `det_resnet_vd`.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D, relu

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
CHANNELS = (64, 128, 256, 512)


Stride = int | tuple[int, int]


class PoolConvBN(nn.Layer):
    """Optional average pooling by `pool`, convolution without bias, batch norm, optional ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: Stride = 1,
        pool: Stride | None = None,
        relu: bool = False,
    ) -> None:
        super().__init__()
        self._conv = Conv2D(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias_attr=False
        )
        self._batch_norm = nn.BatchNorm2D(out_channels)
        self._pool = pool
        self._relu = relu

    def forward(self, x: Tensor) -> Tensor:
        if self._pool is not None:
            x = F.avg_pool2d(x, kernel_size=self._pool, stride=self._pool, ceil_mode=True)
        x = self._batch_norm(self._conv(x))
        return relu(x) if self._relu else x


class BasicBlock(nn.Layer):
    """Two 3×3 convolutions (18 and 34 layers)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: Stride, project: bool) -> None:
        super().__init__()
        self.conv0 = PoolConvBN(in_channels, channels, 3, stride=stride, relu=True)
        self.conv1 = PoolConvBN(channels, channels, 3)
        self.short = PoolConvBN(in_channels, channels, 1, pool=None if stride == 1 else stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.conv0(x))
        return relu(y + (x if self.short is None else self.short(x)))


class Bottleneck(nn.Layer):
    """1×1, 3×3 (which carries the stride) and 1×1 convolution (50 layers and more)."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: Stride, project: bool) -> None:
        super().__init__()
        self.conv0 = PoolConvBN(in_channels, channels, 1, relu=True)
        self.conv1 = PoolConvBN(channels, channels, 3, stride=stride, relu=True)
        self.conv2 = PoolConvBN(channels, channels * 4, 1)
        self.short = PoolConvBN(in_channels, channels * 4, 1, pool=None if stride == 1 else stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(self.conv0(x)))
        return relu(y + (x if self.short is None else self.short(x)))


class ResNetVd(nn.Layer):
    """ResNet-vd without its classifier.

    Args:
        layers: 18, 34, 50, 101 or 152.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives four maps with `out_channels` at strides 4, 8, 16, 32; H and W should
    be multiples of 32.
    """

    def __init__(self, layers: int = 50, in_channels: int = 3) -> None:
        super().__init__()
        if layers not in DEPTHS:
            raise ValueError(f"layers: expected one of {', '.join(map(str, DEPTHS))}, got {layers}")
        block = Bottleneck if layers >= 50 else BasicBlock
        self.conv1_1 = PoolConvBN(in_channels, 32, 3, stride=2, relu=True)
        self.conv1_2 = PoolConvBN(32, 32, 3, relu=True)
        self.conv1_3 = PoolConvBN(32, 64, 3, relu=True)
        self.out_channels: list[int] = []
        self._stages: list[list[nn.Layer]] = []
        channels = 64
        for stage, (depth, width) in enumerate(zip(DEPTHS[layers], CHANNELS, strict=True)):
            blocks: list[nn.Layer] = []
            for index in range(depth):
                stride = 2 if index == 0 and stage > 0 else 1
                layer = block(channels, width, stride, project=index == 0)
                self.add_sublayer(f"bb_{stage}_{index}", layer)
                blocks.append(layer)
                channels = width * block.expansion
            self._stages.append(blocks)
            self.out_channels.append(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv1_3(self.conv1_2(self.conv1_1(x)))
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        features = []
        for blocks in self._stages:
            for block in blocks:
                x = block(x)
            features.append(x)
        return features
