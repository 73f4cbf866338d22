"""PP-LCNetV4, the backbone of PP-OCRv6: blocks of a depthwise token mixer and a channel mixer (after MetaFormer, Yu et
al., arXiv 2111.11418), whose branches fuse into single convolutions for inference.

Names and shapes of the parameters are those of PaddleOCR 3.7's `rec_lcnetv4`.
"""

from __future__ import annotations

from typing import NamedTuple

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.hooks import Branches
from ocrexp.models.layers import GELU, Conv2D, SqueezeExcite, Stride, channels_of, folded, relu


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


class FusableConvBN(nn.Layer):
    """Convolution without bias, batch norm; with `fused`, and after `fuse()`, one convolution with bias.

    A kernel of 2×2 and stride 1 keeps the size by one more row below and column at the right, as PaddleOCR's padding
    SAME.

    Args:
        gamma: start of the norm's scale.
        decays: whether the optimizer's L2 decay acts on the norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: Stride = 1,
        groups: int = 1,
        gamma: float = 1.0,
        decays: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        # One row more on each side, of which the first window is dropped before the norm: paddle2onnx makes a wrong
        # graph of a padding of its own.
        self._even = kernel_size % 2 == 0
        self._spec = {
            "in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size, "stride": stride,
            "padding": kernel_size // 2, "groups": groups,
        }  # fmt: skip
        self.conv = Conv2D(**self._spec, bias_attr=None if fused else False)
        regularizer = None if decays else paddle.regularizer.L2Decay(0.0)
        attr = paddle.ParamAttr(initializer=nn.initializer.Constant(gamma), regularizer=regularizer)
        shift = paddle.ParamAttr(initializer=nn.initializer.Constant(0.0), regularizer=regularizer)
        self.bn = None if fused else nn.BatchNorm2D(out_channels, weight_attr=attr, bias_attr=shift)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self._even:
            x = x[:, :, 1:, 1:]
        return x if self.bn is None else self.bn(x)

    @paddle.no_grad()
    def fuse(self) -> None:
        """Replaces both by one convolution with the same result in evaluation mode."""
        if self.bn is None:
            return
        fused = Conv2D(**{**self._spec, **channels_of(self.conv)})
        weight, bias = folded(self.conv.weight, self.bn)
        fused.weight.set_value(weight)
        fused.bias.set_value(bias)
        self.conv, self.bn = fused, None


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


class RepDWConv(nn.Layer):
    """Depthwise k×k convolution with norm + depthwise 1×1 convolution + identity, and a norm over the sum."""

    def __init__(self, channels: int, kernel_size: int = 3, fused: bool = False) -> None:
        super().__init__()
        self._kernel_size = kernel_size
        self.reparam_conv = self._one_conv(channels) if fused else None
        if not fused:
            self.conv = FusableConvBN(channels, channels, kernel_size, groups=channels)
            self.conv1 = nn.Conv2D(channels, channels, 1, groups=channels, bias_attr=False)
            self.bn = nn.BatchNorm2D(channels)

    def _one_conv(self, channels: int) -> Conv2D:
        size = self._kernel_size
        return Conv2D(channels, channels, size, padding=size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.reparam_conv is not None:
            return self.reparam_conv(x)
        # A depthwise 1×1 convolution is one factor per channel.
        return self.bn(self.conv(x) + x * (self.conv1.weight.reshape([1, -1, 1, 1]) + 1.0))

    def branches(self) -> Branches | None:
        """The k×k branch can take a deployed convolution, then the others add nothing; None if they are fused.

        The factors of -1 cancel the identity. The other way, factors of 0 and a kernel from which the identity is
        subtracted, makes a small result of two large terms, and batch statistics disturb it more.
        """
        if self.reparam_conv is not None:
            return None
        members = (self.conv, self.conv1, self.bn)
        return Branches(self.conv.conv, self.conv.bn, (), members, after=self.bn, factors=self.conv1.weight)

    @paddle.no_grad()
    def fuse(self) -> None:
        """Replaces the branches by one convolution with the same result in evaluation mode."""
        if self.reparam_conv is not None:
            return
        self.conv.fuse()
        fused = self._one_conv(self.conv.conv._out_channels)
        margin = self._kernel_size // 2
        kernel = self.conv.conv.weight + F.pad(self.conv1.weight + 1.0, [margin] * 4)
        weight, bias = folded(kernel, self.bn)
        scale = self.bn.weight / paddle.sqrt(self.bn._variance + self.bn._epsilon)
        fused.weight.set_value(weight)
        fused.bias.set_value(bias + self.conv.conv.bias * scale)
        del self.conv, self.conv1, self.bn
        self.reparam_conv = fused


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
