"""PP-LCNetV4, the backbone of PP-OCRv6: blocks of a depthwise token mixer and a channel mixer (after MetaFormer, Yu et
al., arXiv 2111.11418), whose branches fuse into single convolutions for inference.

Names and shapes of the parameters are those of PaddleOCR 3.7's `rec_lcnetv4`.
"""

from __future__ import annotations

from typing import NamedTuple

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.fusable import FusableConvBN, RepDWConv
from ocrexp.models.layers import GELU, SqueezeExcite, Stride, relu


class Stage(NamedTuple):
    """Blocks of one width: the first one changes channels and size, `squeeze_excite` names those with attention."""

    name: str
    channels: int
    blocks: int
    stride: Stride
    squeeze_excite: tuple[int, ...] = ()


class Size(NamedTuple):
    """A network: channels inside and behind the stem, and its stages."""

    stem: tuple[int, int]
    stages: tuple[Stage, ...]
    plain_stem: bool = False


def _det(stem: tuple[int, int], *channels: int) -> Size:
    first, second, third, fourth = channels
    return Size(
        stem,
        (
            Stage("blocks_s1", first, 2, 1, (0,)),
            Stage("blocks_s2", second, 3, 2, (1,)),
            Stage("blocks_s3", third, 5, 2, (1, 3)),
            Stage("blocks_s4", fourth, 3, 2, (1,)),
        ),
    )


def _rec(stem: tuple[int, int], *stages: tuple[int, int, tuple[int, ...]], plain_stem: bool = False) -> Size:
    strides: tuple[Stride, ...] = (1, 1, (2, 1), (2, 1))
    made = tuple(
        Stage(f"blocks{number}", channels, blocks, stride, squeeze_excite)
        for number, (stride, (channels, blocks, squeeze_excite)) in enumerate(zip(strides, stages, strict=True), 2)
    )
    return Size(stem, made, plain_stem)


DET_SIZES = {
    "tiny": _det((16, 32), 32, 48, 64, 160),
    "small": _det((24, 48), 48, 96, 192, 384),
    "medium": _det((64, 128), 128, 256, 512, 896),
}
REC_SIZES = {
    "tiny": _rec((24, 48), (48, 1, (0,)), (48, 1, ()), (96, 3, (1,)), (160, 4, (1,)), plain_stem=True),
    "small": _rec((48, 96), (96, 1, (0,)), (96, 2, ()), (192, 7, (1, 3, 5)), (384, 3, (1,))),
    "medium": _rec((64, 128), (128, 1, (0,)), (256, 3, (2,)), (512, 7, (1, 3, 5)), (768, 3, (1,))),
}


class StemBlock(nn.Layer):
    """A convolution of stride 2, then pooling beside two small convolutions, joined by two more, of stride `stride`."""

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, fused: bool = False, stride: int = 2
    ) -> None:
        super().__init__()

        def conv(channels_in: int, channels_out: int, size: int, stride: int = 1) -> FusableConvBN:
            return FusableConvBN(channels_in, channels_out, size, stride, decays=False, fused=fused)

        self.stem1 = conv(in_channels, mid_channels, 3, 2)
        self.stem2a = conv(mid_channels, mid_channels // 2, 2)
        self.stem2b = conv(mid_channels // 2, mid_channels, 2)
        self.stem3 = conv(mid_channels * 2, mid_channels, 3, stride)
        self.stem4 = conv(mid_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.stem1(x))
        pooled = F.max_pool2d(x, 2, stride=1, padding=1)[:, :, 1:, 1:]
        # Not in place: without a norm behind it, what a 2×2 convolution gives is a view of a larger map.
        x = F.relu(self.stem2b(F.relu(self.stem2a(x))))
        x = relu(self.stem3(paddle.concat([pooled, x], axis=1)))
        return relu(self.stem4(x))


class LCNetV4Block(nn.Layer):
    """Token mixer (depthwise convolution, optional channel attention), then channel mixer (1×1 to twice the channels,
    GELU, 1×1), with a shortcut over the channel mixer where shapes allow; that one's last norm begins at 0."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: Stride, squeeze_excite: bool, fused: bool = False
    ) -> None:
        super().__init__()
        self._shortcut = stride == 1 and in_channels == out_channels
        self.token_mixer = nn.Sequential()
        if self._shortcut:
            self.token_mixer.add_sublayer("rep_dw", RepDWConv(in_channels, 3, fused))
        else:
            dw_conv = FusableConvBN(in_channels, in_channels, 3, stride, groups=in_channels, fused=fused)
            self.token_mixer.add_sublayer("dw_conv", dw_conv)
        if squeeze_excite:
            self.token_mixer.add_sublayer("se", SqueezeExcite(in_channels, slope=1 / 6))
        self.channel_mixer = nn.Sequential()
        self.channel_mixer.add_sublayer("expand", FusableConvBN(in_channels, 2 * in_channels, fused=fused))
        self.channel_mixer.add_sublayer("act", GELU())
        last = FusableConvBN(2 * in_channels, out_channels, gamma=0.0 if self._shortcut else 1.0, fused=fused)
        self.channel_mixer.add_sublayer("compress", last)

    def forward(self, x: Tensor) -> Tensor:
        x = self.token_mixer(x)
        return x + self.channel_mixer(x) if self._shortcut else self.channel_mixer(x)


class PPLCNetV4(nn.Layer):
    """PP-LCNetV4 for detection or recognition.

    Args:
        model_size: tiny, small or medium.
        det: four maps for a detector; false: one map of height 1 for a recognizer.
        in_channels: channels of the image.
        fused: one convolution with bias in place of branches and batch norms, as in deployed models, whose plain stem
            (recognition, tiny) keeps its two norms. For fine-tuning: a random start learns badly without norms.

    `forward(images [N, in_channels, H, W])` gives, with `det`, four maps with `out_channels` at strides 4, 8, 16, 32
    (H and W should be multiples of 32), else [N, out_channels, 1, W / 8]. PaddleOCR pools to 40 steps in training
    whatever the width, here the steps follow the width in training as in evaluation; at width 320 both are 40.

    Raises ValueError for an unknown size.
    """

    def __init__(self, model_size: str = "small", det: bool = False, in_channels: int = 3, fused: bool = False) -> None:
        super().__init__()
        sizes = DET_SIZES if det else REC_SIZES
        if model_size not in sizes:
            raise ValueError(f"model_size: expected one of {', '.join(sizes)}, got {model_size!r}")
        size = sizes[model_size]
        self._det, self._names = det, [stage.name for stage in size.stages]
        channels = size.stem[1]
        self.add_sublayer("stem" if det else "conv1", _stem(in_channels, size, fused))
        given: list[int] = []
        for stage in size.stages:
            blocks = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                se = number in stage.squeeze_excite
                blocks.append(LCNetV4Block(channels, stage.channels, stride, se, fused))
                channels = stage.channels
            self.add_sublayer(stage.name, nn.Sequential(*blocks))
            given.append(channels)
        self.out_channels: int | list[int] = given if det else channels

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x = self.stem(x) if self._det else self.conv1(x)
        maps = []
        for name in self._names:
            x = getattr(self, name)(x)
            maps.append(x)
        return maps if self._det else F.avg_pool2d(x, kernel_size=[x.shape[2], 2])


def _stem(in_channels: int, size: Size, fused: bool) -> nn.Layer:
    mid, out = size.stem
    if not size.plain_stem:
        return StemBlock(in_channels, mid, out, fused)
    return nn.Sequential(FusableConvBN(in_channels, mid, 3, 2), GELU(), FusableConvBN(mid, out, 3, 2))
