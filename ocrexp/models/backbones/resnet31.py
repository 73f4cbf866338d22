"""ResNet31, the backbone of SAR (Li et al., arXiv 1811.00751): the map stays two-dimensional.

Names and shapes of the parameters are those of PaddleOCR's `rec_resnet_31`.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D

_DEPTHS = (1, 2, 5, 3)
_CHANNELS = (256, 256, 512, 512)
_POOLS: tuple[tuple[int, int] | None, ...] = ((2, 2), (2, 2), (2, 1), None)


class ResNet31Block(nn.Layer):
    """Two 3×3 convolutions; a 1×1 one in the shortcut where the channels change."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv2D(in_channels, channels, 3, padding=1, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(channels)
        self.conv2 = Conv2D(channels, channels, 3, padding=1, bias_attr=False)
        self.bn2 = nn.BatchNorm2D(channels)
        self.downsample = None
        if in_channels != channels:
            self.downsample = nn.Sequential(Conv2D(in_channels, channels, 1, bias_attr=False), nn.BatchNorm2D(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet31(nn.Layer):
    """SAR's backbone.

    Args:
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, 512, H / 8, W / 4].
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1_1 = Conv2D(in_channels, 64, 3, padding=1)
        self.bn1_1 = nn.BatchNorm2D(64)
        self.conv1_2 = Conv2D(64, 128, 3, padding=1)
        self.bn1_2 = nn.BatchNorm2D(128)
        before = 128
        for stage, (depth, channels) in enumerate(zip(_DEPTHS, _CHANNELS, strict=True), start=2):
            blocks = [ResNet31Block(before if index == 0 else channels, channels) for index in range(depth)]
            self.add_sublayer(f"block{stage}", nn.Sequential(*blocks))
            self.add_sublayer(f"conv{stage}", Conv2D(channels, channels, 3, padding=1))
            self.add_sublayer(f"bn{stage}", nn.BatchNorm2D(channels))
            before = channels
        self.out_channels = before

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1_1(self.conv1_1(x)))
        x = F.relu(self.bn1_2(self.conv1_2(x)))
        for stage, pool in enumerate(_POOLS, start=2):
            if pool is not None:
                x = F.max_pool2d(x, kernel_size=pool, stride=pool, ceil_mode=True)
            x = getattr(self, f"block{stage}")(x)
            x = F.relu(getattr(self, f"bn{stage}")(getattr(self, f"conv{stage}")(x)))
        return x
