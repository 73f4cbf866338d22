"""PP-HGNet, the backbone of PP-OCRv4's server models: blocks that join the outputs of all their convolutions.

Names and shapes of the parameters are those of PaddleOCR's `rec_hgnet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Stride, half_padded_conv, relu


class HGStageSpec(NamedTuple):
    """Blocks of one width."""

    in_channels: int
    channels: int
    out_channels: int
    blocks: int


_STEM = (64, 64, 128)
_LAYERS = 6
_SMALL = (
    HGStageSpec(128, 128, 256, 1),
    HGStageSpec(256, 160, 512, 1),
    HGStageSpec(512, 192, 768, 2),
    HGStageSpec(768, 224, 1024, 1),
)
# Strides of the stages of all PP-HGNets; None: nothing comes before the blocks.
DET_STRIDES: tuple[Stride | None, ...] = (None, 2, 2, 2)
REC_STRIDES: tuple[Stride | None, ...] = ((2, 1), (1, 2), (2, 1), (2, 1))


class HGConvBN(nn.Layer):
    """Convolution without bias, batch norm without L2 decay, optional ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: Stride = 1,
        groups: int = 1,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.conv = half_padded_conv(
            in_channels, out_channels, kernel_size, stride, groups, nn.initializer.KaimingNormal()
        )
        still = paddle.ParamAttr(regularizer=paddle.regularizer.L2Decay(0.0))
        self.bn = nn.BatchNorm2D(out_channels, weight_attr=still, bias_attr=still)
        self._activated = activated

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return relu(x) if self._activated else x


class EffectiveSE(nn.Layer):
    """Channel attention by one convolution of the mean (Lee and Park, arXiv 1911.06667)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = paddle.ParamAttr(initializer=nn.initializer.KaimingNormal())
        self.conv = nn.Conv2D(channels, channels, 1, weight_attr=weight)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.sigmoid(self.conv(F.adaptive_avg_pool2d(x, 1)))


def chained(layers: Iterable[nn.Layer], x: Tensor) -> Tensor:
    """The channels of `x` and of the output of each layer of a chain, joined."""
    outputs = [x]
    for layer in layers:
        outputs.append(layer(outputs[-1]))
    return paddle.concat(outputs, axis=1)


class HGBlock(nn.Layer):
    """A chain of 3×3 convolutions, whose outputs and input are joined, made narrower and attended."""

    def __init__(self, in_channels: int, channels: int, out_channels: int, identity: bool) -> None:
        super().__init__()
        widths = [in_channels, *[channels] * (_LAYERS - 1)]
        self.layers = nn.LayerList([HGConvBN(width, channels) for width in widths])
        self.aggregation_conv = HGConvBN(in_channels + _LAYERS * channels, out_channels, 1)
        self.att = EffectiveSE(out_channels)
        self._identity = identity

    def forward(self, x: Tensor) -> Tensor:
        y = self.att(self.aggregation_conv(chained(self.layers, x)))
        return x + y if self._identity else y


class HGStage(nn.Layer):
    """A depthwise convolution of `channels` with the stride, if there is one, then the blocks."""

    def __init__(self, channels: int, stride: Stride | None, blocks: Sequence[nn.Layer]) -> None:
        super().__init__()
        self.downsample = (
            None if stride is None else HGConvBN(channels, channels, 3, stride, groups=channels, activated=False)
        )
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x if self.downsample is None else self.downsample(x))


def _blocks(spec: HGStageSpec) -> list[nn.Layer]:
    """All but the first have a shortcut."""
    return [
        HGBlock(spec.out_channels if number else spec.in_channels, spec.channels, spec.out_channels, number > 0)
        for number in range(spec.blocks)
    ]


class PPHGNetSmall(nn.Layer):
    """PP-HGNet small for detection or recognition.

    Args:
        det: four maps for a detector.
        in_channels: channels of the image.

    With `det`, `forward(images [N, in_channels, H, W])` gives maps with `out_channels` at strides 4, 8, 16, 32; H and W
    should be multiples of 32. Otherwise it gives [N, out_channels, 1, W / 8], for images 48 high of a map 3 high, in
    training as in evaluation (see `PPLCNetV3`).
    """

    def __init__(self, det: bool = True, in_channels: int = 3) -> None:
        super().__init__()
        self._det = det
        widths = (in_channels, *_STEM)
        self.stem = nn.Sequential(
            *(
                HGConvBN(a, b, stride=1 if number else 2)
                for number, (a, b) in enumerate(zip(widths, _STEM, strict=False))
            )
        )
        strides = DET_STRIDES if det else REC_STRIDES
        self.stages = nn.LayerList(
            [HGStage(spec.in_channels, stride, _blocks(spec)) for spec, stride in zip(_SMALL, strides, strict=True)]
        )
        maps = [spec.out_channels for spec in _SMALL]
        self.out_channels: int | list[int] = maps if det else maps[-1]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x = self.stem(x)
        if self._det:
            x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps if self._det else F.avg_pool2d(x, kernel_size=[x.shape[2], 2])
