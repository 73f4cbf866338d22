"""ResNet45, the backbone of ABINet (Fang et al., arXiv 2103.06495) and VisionLAN: the map stays two-dimensional.

Names and shapes of the parameters are those of PaddleOCR's `rec_resnet_45`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D, Stride, relu

DEPTHS, CHANNELS = (3, 4, 6, 6, 3), (32, 64, 128, 256, 512)


class ResNet45Block(nn.Layer):
    """A 1×1 and a 3×3 convolution; one of them has the stride."""

    def __init__(
        self, in_channels: int, channels: int, stride: Stride, stride_first: bool, attr: paddle.ParamAttr | None
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_first else (1, stride)
        self.conv1 = Conv2D(in_channels, channels, 1, stride=first, weight_attr=attr, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(channels)
        self.conv2 = Conv2D(channels, channels, 3, stride=second, padding=1, weight_attr=attr, bias_attr=False)
        self.bn2 = nn.BatchNorm2D(channels)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            projection = Conv2D(in_channels, channels, 1, stride=stride, weight_attr=attr, bias_attr=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2D(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet45_stages(
    strides: Sequence[Stride], stride_first: bool, attr: paddle.ParamAttr | None = None
) -> list[nn.Sequential]:
    """The five stages, after a map of 32 channels; `stride_first`: the stride is that of the 1×1 convolution."""
    stages, before = [], CHANNELS[0]
    for depth, channels, stride in zip(DEPTHS, CHANNELS, strides, strict=True):
        blocks = [ResNet45Block(before, channels, stride, stride_first, attr)]
        blocks += [ResNet45Block(channels, channels, 1, stride_first, attr) for _ in range(depth - 1)]
        stages.append(nn.Sequential(*blocks))
        before = channels
    return stages


class ResNet45(nn.Layer):
    """ResNet45.

    Args:
        in_channels: channels of the image.
        strides: of the five stages.

    `forward(images [N, in_channels, H, W])` gives [N, 512, H / s, W / s], s being the product of the strides.
    """

    def __init__(self, in_channels: int = 3, strides: Sequence[int] = (2, 1, 2, 1, 1)) -> None:
        super().__init__()
        if len(strides) != len(DEPTHS):
            raise ValueError(f"strides: expected {len(DEPTHS)} numbers, got {list(strides)}")
        attr = paddle.ParamAttr(initializer=nn.initializer.KaimingNormal())
        self.conv1 = Conv2D(in_channels, CHANNELS[0], 3, padding=1, weight_attr=attr, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(CHANNELS[0])
        self.layer1, self.layer2, self.layer3, self.layer4, self.layer5 = resnet45_stages(strides, False, attr)
        self.out_channels = CHANNELS[-1]

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            x = stage(x)
        return x
