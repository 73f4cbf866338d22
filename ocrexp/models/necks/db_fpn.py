"""Feature pyramids for DB (Liao et al., arXiv 1911.08947): one map at stride 4 from four.

Names and shapes of the parameters are those of PaddleOCR's `DBFPN` (with `ASFBlock`) and `RSEFPN`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import initializer

from ocrexp.models.cpu import conv as cpu
from ocrexp.models.cpu.upsample import TwoLevels, composed, conv3x3_of_doubled
from ocrexp.models.layers import Conv2D, SqueezeExcite, conv2d, nearest_upsample
from ocrexp.models.necks.intracl import add_blocks, with_context


def check_channels(name: str, in_channels: Sequence[int], out_channels: int) -> None:
    """Raises ValueError for a backbone without four maps and for channels that four levels cannot share."""
    if len(in_channels) != 4:
        raise ValueError(f"{name} joins 4 feature maps, the backbone gives {len(in_channels)}; choose another")
    if out_channels % 4 or out_channels <= 0:
        raise ValueError(f"out_channels: expected a multiple of 4, got {out_channels}")


class DBFPN(nn.Layer):
    """Lateral 1×1 convolutions, top-down sums, a 3×3 convolution a level, everything brought to stride 4 and joined.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the joined map, a multiple of 4.
        use_asf: weigh the levels of the joined map at each pixel (`AdaptiveScaleFusion`, DB++).

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4]; the levels stand from the coarsest to the finest. On
    a CPU, for a head that takes them and without `use_asf`, the coarser levels stay at stride 8 (`TwoLevels`).
    """

    # If the sides of an image are not multiples of it, upsampling a level does not give the size of the next one.
    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256, use_asf: bool = False) -> None:
        super().__init__()
        check_channels(type(self).__name__, in_channels, out_channels)
        self.out_channels = out_channels
        weight = paddle.ParamAttr(initializer=initializer.KaimingUniform())

        def conv(channels_in: int, channels_out: int, kernel_size: int) -> Conv2D:
            return Conv2D(
                channels_in,
                channels_out,
                kernel_size,
                padding=kernel_size // 2,
                weight_attr=weight,
                bias_attr=False,
            )

        self.in2_conv, self.in3_conv, self.in4_conv, self.in5_conv = (conv(c, out_channels, 1) for c in in_channels)
        self.p5_conv, self.p4_conv, self.p3_conv, self.p2_conv = (
            conv(out_channels, out_channels // 4, 3) for _ in range(4)
        )
        self.asf = AdaptiveScaleFusion(out_channels) if use_asf else None

        # Set by the model when the head takes `TwoLevels`.
        self.keep_levels_apart = False

    def forward(self, features: Sequence[Tensor]) -> Tensor | TwoLevels:
        c2, c3, c4, c5 = features
        if cpu.applies(c2):
            apart = self._two_levels(features)
            if self.asf is not None:
                return self.asf(apart)
            return apart if self.keep_levels_apart else apart.joined()
        out5 = self.in5_conv(c5)
        out4 = self.in4_conv(c4) + nearest_upsample(out5, 2)
        out3 = self.in3_conv(c3) + nearest_upsample(out4, 2)
        out2 = self.in2_conv(c2) + nearest_upsample(out3, 2)
        levels = [
            nearest_upsample(self.p5_conv(out5), 8),
            nearest_upsample(self.p4_conv(out4), 4),
            nearest_upsample(self.p3_conv(out3), 2),
            self.p2_conv(out2),
        ]
        joined = paddle.concat(levels, axis=1)
        return joined if self.asf is None else self.asf(joined)

    def _two_levels(self, features: Sequence[Tensor]) -> TwoLevels:
        """The same without maps of `out_channels` at stride 4, which take most of the time and memory on a CPU.

        The finest level is a sum of two linear maps: of c2 (the lateral convolution and the 3×3 one are composed) and
        of the next coarser level, doubled.
        """
        c2, c3, c4, c5 = features
        out5 = self.in5_conv(c5)
        out4 = self.in4_conv(c4) + nearest_upsample(out5, 2)
        out3 = self.in3_conv(c3) + nearest_upsample(out4, 2)
        weight = self.p2_conv.weight
        finest = conv2d(c2, composed(weight, self.in2_conv.weight), None, 1, 1) + conv3x3_of_doubled(out3, weight)
        coarser = [
            nearest_upsample(self.p5_conv(out5), 4),
            nearest_upsample(self.p4_conv(out4), 2),
            self.p3_conv(out3),
        ]
        return TwoLevels(half=paddle.concat(coarser, axis=1), full=finest)


class AdaptiveScaleFusion(nn.Layer):
    """DB++'s attention over the four levels of a joined map (Liao et al., arXiv 2202.10304): each level is multiplied
    by a weight in 0..1 at each pixel. PaddleOCR's `ASFBlock`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = paddle.ParamAttr(initializer=initializer.KaimingUniform())
        inner = channels // 4
        self.conv = Conv2D(channels, inner, 3, padding=1)
        # Numbered as in PaddleOCR, whose sequences hold the activations too.
        self.spatial_scale = nn.Sequential(
            nn.Conv2D(1, 1, 3, padding=1, weight_attr=weight, bias_attr=False),
            nn.ReLU(),
            nn.Conv2D(1, 1, 1, weight_attr=weight, bias_attr=False),
            nn.Sigmoid(),
        )
        self.channel_scale = nn.Sequential(
            nn.Conv2D(inner, 4, 1, weight_attr=weight, bias_attr=False),
            nn.Sigmoid(),
        )

    def forward(self, levels: Tensor | TwoLevels) -> Tensor:
        if isinstance(levels, TwoLevels):
            joined = levels.joined()
            y = levels.conv3x3(self.conv.weight) + self.conv.bias.reshape([1, -1, 1, 1])
        else:
            joined, y = levels, self.conv(levels)
        scores = self.channel_scale(self.spatial_scale(y.mean(axis=1, keepdim=True)) + y)
        _, channels, height, width = joined.shape
        weighed = joined.reshape([0, 4, channels // 4, height, width]) * scores.unsqueeze(2)
        return weighed.reshape([0, channels, height, width])


class RSELayer(nn.Layer):
    """A convolution without bias and channel attention over it, added to its input with `shortcut`."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, shortcut: bool = True) -> None:
        super().__init__()
        self.in_conv = Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            padding=kernel_size // 2,
            weight_attr=paddle.ParamAttr(initializer=initializer.KaimingUniform()),
            bias_attr=False,
        )
        self.se_block = SqueezeExcite(out_channels)
        self._shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        return x + self.se_block(x) if self._shortcut else self.se_block(x)


class RSEFPN(nn.Layer):
    """PP-OCRv3's to v5's mobile pyramid: each convolution of DBFPN is followed by residual channel attention.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the joined map, a multiple of 4.
        shortcut: add the attention's result to its input.
        intracl: an IntraCLBlock on each level; `out_channels` is then a multiple of 8.

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4]; the levels stand from the coarsest to the finest. On
    a CPU, for a head that takes them, the coarser levels stay at stride 8 (`TwoLevels`).
    """

    size_multiple = 32

    def __init__(
        self, in_channels: Sequence[int], out_channels: int = 96, shortcut: bool = True, intracl: bool = False
    ) -> None:
        super().__init__()
        check_channels(type(self).__name__, in_channels, out_channels)
        self.out_channels = out_channels
        self.ins_conv = nn.LayerList([RSELayer(c, out_channels, 1, shortcut) for c in in_channels])
        self.inp_conv = nn.LayerList([RSELayer(out_channels, out_channels // 4, 3, shortcut) for _ in in_channels])
        self._intracl = intracl
        if intracl:
            add_blocks(self, out_channels // 4)
        self.keep_levels_apart = False

    def forward(self, features: Sequence[Tensor]) -> Tensor | TwoLevels:
        outs = top_down(self.ins_conv, features)
        levels = coarsest_first(self.inp_conv, outs)
        if self._intracl:
            levels = with_context(self, levels)
        return joined_levels(levels, self.keep_levels_apart)


def top_down(laterals: Sequence[nn.Layer], features: Sequence[Tensor]) -> list[Tensor]:
    """Lateral maps at strides 4, 8, 16, 32, each with the next coarser sum doubled on top."""
    outs = coarsest_first(laterals, features)
    for number in (2, 1, 0):
        outs[number] = outs[number] + nearest_upsample(outs[number + 1], 2)
    return outs


def coarsest_first(layers: Sequence[nn.Layer], maps: Sequence[Tensor]) -> list[Tensor]:
    """Each layer's map, in their order; the last runs first, as in PaddleOCR, so that deployed files can be matched."""
    return [layer(maps[number]) for number, layer in reversed([*enumerate(layers)])][::-1]


def joined_levels(levels: Sequence[Tensor], apart: bool) -> Tensor | TwoLevels:
    """Levels at strides 4, 8, 16, 32 as one map, the coarsest first; `apart`: as TwoLevels on a CPU."""
    p2, p3, p4, p5 = levels
    if apart and cpu.applies(p2):
        return TwoLevels(half=paddle.concat([nearest_upsample(p5, 4), nearest_upsample(p4, 2), p3], axis=1), full=p2)
    return paddle.concat([nearest_upsample(p5, 8), nearest_upsample(p4, 4), nearest_upsample(p3, 2), p2], axis=1)
