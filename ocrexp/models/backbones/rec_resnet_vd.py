"""ResNet-vd (He et al., arXiv 1812.01187) as recognition uses it: stem at full size, later strides of the height alone.

Names and shapes of the parameters are those of PaddleOCR's `rec_resnet_vd`.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.backbones.resnet_vd import CHANNELS, DEPTHS, BasicBlock, Bottleneck, PoolConvBN
from ocrexp.models.layers import Stride


class RecResNetVd(nn.Layer):
    """ResNet-vd without its classifier for lines of text.

    Args:
        layers: 18, 34, 50, 101 or 152.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, H / 32, W / 4].
    """

    def __init__(self, layers: int = 34, in_channels: int = 3) -> None:
        super().__init__()
        if layers not in DEPTHS:
            raise ValueError(f"layers: expected one of {', '.join(map(str, DEPTHS))}, got {layers}")
        block = Bottleneck if layers >= 50 else BasicBlock
        self.conv1_1 = PoolConvBN(in_channels, 32, 3, relu=True)
        self.conv1_2 = PoolConvBN(32, 32, 3, relu=True)
        self.conv1_3 = PoolConvBN(32, 64, 3, relu=True)
        self._blocks: list[nn.Layer] = []
        channels = 64
        for stage, (depth, width) in enumerate(zip(DEPTHS[layers], CHANNELS, strict=True)):
            for index in range(depth):
                stride: Stride = (2, 1) if index == 0 and stage > 0 else 1
                layer = block(channels, width, stride, project=index == 0)
                self.add_sublayer(f"bb_{stage}_{index}", layer)
                self._blocks.append(layer)
                channels = width * block.expansion
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1_3(self.conv1_2(self.conv1_1(x)))
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for block in self._blocks:
            x = block(x)
        return F.max_pool2d(x, kernel_size=2, stride=2)
