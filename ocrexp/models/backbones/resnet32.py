"""ResNet32 of FAN (Cheng et al., arXiv 1709.02054), the backbone of SPIN, and RFL's with its two ends.

Names and shapes of the parameters are those of PaddleOCR's `rec_resnet_32` and `rec_resnet_rfl`.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D, relu

_DEPTHS = (1, 2, 5, 3)


class ResNet32Block(nn.Layer):
    """Two 3×3 convolutions; a 1×1 one in the shortcut where the channels change."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, channels)
        self.bn1 = nn.BatchNorm2D(channels)
        self.conv2 = _conv(channels, channels)
        self.bn2 = nn.BatchNorm2D(channels)
        self.downsample = None
        if in_channels != channels:
            self.downsample = nn.Sequential(_conv(in_channels, channels, 1), nn.BatchNorm2D(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


def _conv(
    in_channels: int,
    channels: int,
    kernel: int = 3,
    stride: int | tuple[int, int] = 1,
    padding: tuple[int, int] | None = None,
) -> Conv2D:
    return Conv2D(
        in_channels,
        channels,
        kernel,
        stride=stride,
        padding=kernel // 2 if padding is None else padding,
        weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingNormal()),
        bias_attr=False,
    )


def _stage(in_channels: int, channels: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(ResNet32Block(channels if index else in_channels, channels) for index in range(depth)))


class Stem(nn.Layer):
    """The first two stages: [N, in_channels, H, W] to [N, channels / 2, H / 4, W / 4]."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv0_1 = _conv(in_channels, channels // 16)
        self.bn0_1 = nn.BatchNorm2D(channels // 16)
        self.conv0_2 = _conv(channels // 16, channels // 8)
        self.bn0_2 = nn.BatchNorm2D(channels // 8)
        self.layer1 = _stage(channels // 8, channels // 4, _DEPTHS[0])
        self.conv1 = _conv(channels // 4, channels // 4)
        self.bn1 = nn.BatchNorm2D(channels // 4)
        self.layer2 = _stage(channels // 4, channels // 2, _DEPTHS[1])
        self.conv2 = _conv(channels // 2, channels // 2)
        self.bn2 = nn.BatchNorm2D(channels // 2)

    def stem(self, x: Tensor) -> Tensor:
        """The map after two stages."""
        x = relu(self.bn0_1(self.conv0_1(x)))
        x = relu(self.bn0_2(self.conv0_2(x)))
        x = self.layer1(F.max_pool2d(x, kernel_size=2, stride=2))
        x = relu(self.bn1(self.conv1(x)))
        x = self.layer2(F.max_pool2d(x, kernel_size=2, stride=2))
        return relu(self.bn2(self.conv2(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.stem(x)


def _add_end(layer: nn.Layer, channels: int, prefix: str = "") -> None:
    """Adds the last two stages to a layer, their names after `prefix`."""
    for name, part in (
        ("layer3", _stage(channels // 2, channels, _DEPTHS[2])),
        ("conv3", _conv(channels, channels)),
        ("bn3", nn.BatchNorm2D(channels)),
        ("layer4", _stage(channels, channels, _DEPTHS[3])),
        ("conv4_1", _conv(channels, channels, 2, (2, 1), (0, 1))),
        ("bn4_1", nn.BatchNorm2D(channels)),
        ("conv4_2", _conv(channels, channels, 2, 1, (0, 0))),
        ("bn4_2", nn.BatchNorm2D(channels)),
    ):
        layer.add_sublayer(f"{prefix}{name}", part)


def _end(layer: nn.Layer, x: Tensor, prefix: str = "") -> Tensor:
    """[N, channels / 2, H, W] through the last two stages: [N, channels, H / 4 - 1, W + 1]."""
    parts = layer._sub_layers
    x = F.max_pool2d(x, kernel_size=2, stride=(2, 1), padding=(0, 1))
    x = parts[f"{prefix}layer3"](x)
    x = relu(parts[f"{prefix}bn3"](parts[f"{prefix}conv3"](x)))
    x = parts[f"{prefix}layer4"](x)
    x = relu(parts[f"{prefix}bn4_1"](parts[f"{prefix}conv4_1"](x)))
    return relu(parts[f"{prefix}bn4_2"](parts[f"{prefix}conv4_2"](x)))


def _check_channels(channels: int) -> None:
    if channels < 16 or channels % 16:
        raise ValueError(f"out_channels: expected a multiple of 16, got {channels}")


class ResNet32(nn.Layer):
    """SPIN's backbone.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the map.

    `forward(images [N, in_channels, 32, W])` gives [N, out_channels, 1, W / 4 + 1].
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 512) -> None:
        super().__init__()
        _check_channels(out_channels)
        self.ConvNet = Stem(in_channels, out_channels)
        _add_end(self.ConvNet, out_channels)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        return _end(self.ConvNet, self.ConvNet(x))


class RFLBase(nn.Layer):
    """The stages that both ends of RFL's backbone share."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.ConvNet = Stem(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.ConvNet(x)


class ResNetRFL(nn.Layer):
    """RFL's backbone (Jiang et al., arXiv 2105.06229): one end to count characters, one to read them.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the maps.

    `forward(images [N, in_channels, 32, W])` gives two maps [N, out_channels, 1, W / 4 + 1]: of counting, of reading.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 512) -> None:
        super().__init__()
        _check_channels(out_channels)
        self.backbone = RFLBase(in_channels, out_channels)
        _add_end(self, out_channels)
        _add_end(self, out_channels, "v_")
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.backbone(x)
        return [_end(self, x, "v_"), _end(self, x)]
