"""PP-HGNetV2 B4, the backbone of PP-OCRv5's server models.

Names and shapes of the parameters are those of PaddleOCR's `rec_pphgnetv2`, without the classifier's `last_conv` and
`fc`, which PaddleOCR's OCR models contain but never use.
"""

from __future__ import annotations

from typing import NamedTuple

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.backbones.hgnet import DET_STRIDES, REC_STRIDES, HGConvBN, HGStage, chained
from ocrexp.models.backbones.lcnet_v4 import StemBlock


class HGStageV2Spec(NamedTuple):
    """Blocks of one width; `light`: each convolution is a pointwise and a depthwise one."""

    in_channels: int
    channels: int
    out_channels: int
    blocks: int
    light: bool
    kernel_size: int


_STEM = (32, 48)
_LAYERS = 6
_STAGES = (
    HGStageV2Spec(48, 48, 128, 1, False, 3),
    HGStageV2Spec(128, 96, 512, 1, False, 3),
    HGStageV2Spec(512, 192, 1024, 3, True, 5),
    HGStageV2Spec(1024, 384, 2048, 1, True, 5),
)


class LightConvBNAct(nn.Layer):
    """1×1 convolution and batch norm, then a depthwise convolution, batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv1 = HGConvBN(in_channels, out_channels, 1, activated=False)
        self.conv2 = HGConvBN(out_channels, out_channels, kernel_size, groups=out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class HGBlockV2(nn.Layer):
    """A chain of convolutions, whose outputs and input are joined and mixed by two 1×1 convolutions; all but the first
    block of a stage have a shortcut."""

    def __init__(self, spec: HGStageV2Spec, first: bool) -> None:
        super().__init__()
        in_channels = spec.in_channels if first else spec.out_channels
        widths = [in_channels, *[spec.channels] * (_LAYERS - 1)]
        kind = LightConvBNAct if spec.light else HGConvBN
        self.layers = nn.LayerList([kind(width, spec.channels, spec.kernel_size) for width in widths])
        half = spec.out_channels // 2
        self.aggregation_squeeze_conv = HGConvBN(in_channels + _LAYERS * spec.channels, half, 1)
        self.aggregation_excitation_conv = HGConvBN(half, spec.out_channels, 1)
        self._identity = not first

    def forward(self, x: Tensor) -> Tensor:
        y = self.aggregation_excitation_conv(self.aggregation_squeeze_conv(chained(self.layers, x)))
        return x + y if self._identity else y


class PPHGNetV2(nn.Layer):
    """PP-HGNetV2 B4 for recognition or detection.

    Args:
        det: four maps for a detector.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, 1, W / 8], for images 48 high of a map 3 high, in
    training as in evaluation (see `PPLCNetV3`). With `det` it gives four maps with `out_channels` at strides 4, 8, 16,
    32; H and W should be multiples of 32.
    """

    def __init__(self, det: bool = False, in_channels: int = 3) -> None:
        super().__init__()
        self._det = det
        self.stem = StemBlock(in_channels, *_STEM, stride=2 if det else 1)
        draw = nn.initializer.KaimingNormal()
        for name, parameter in self.stem.named_parameters():
            if name.endswith("conv.weight"):
                draw(parameter)
        strides = DET_STRIDES if det else REC_STRIDES
        self.stages = nn.LayerList(
            [
                HGStage(spec.in_channels, stride, [HGBlockV2(spec, number == 0) for number in range(spec.blocks)])
                for spec, stride in zip(_STAGES, strides, strict=True)
            ]
        )
        widths = [spec.out_channels for spec in _STAGES]
        self.out_channels: int | list[int] = widths if det else widths[-1]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps if self._det else F.avg_pool2d(x, kernel_size=[x.shape[2], 2])
