"""PP-OCRv6's feature pyramids: large depthwise kernels made of dilated branches (UniRepLKNet, Ding et al., arXiv
2311.15599), which fuse into one convolution for inference.

Names and shapes of the parameters are those of PaddleOCR 3.7's `RepLKFPN` and `RepLKPAN`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import initializer

from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.hooks import Branches
from ocrexp.models.layers import Conv2D, SqueezeExcite, folded
from ocrexp.models.necks.db_fpn import RSELayer, check_channels, joined_levels, top_down
from ocrexp.models.necks.lkpan import PathAggregation
from ocrexp.models.necks.pyramid import Pyramid

# Kernel size → (kernel size, dilation) of the branches beside it.
BRANCHES = {
    5: ((3, 1), (3, 2)),
    7: ((5, 1), (3, 2), (3, 3)),
    9: ((5, 1), (5, 2), (3, 3), (3, 4)),
    11: ((5, 1), (5, 2), (3, 3), (3, 4), (3, 5)),
    13: ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5)),
}


class DilatedReparamBlock(nn.Layer):
    """Sum of a depthwise convolution of a large kernel and smaller dilated ones inside it, each with its batch norm.

    With `fused`, and after `fuse()`, `lk_origin` is one depthwise convolution with bias. Raises ValueError for a kernel
    size without branches.
    """

    def __init__(self, channels: int, kernel_size: int, fused: bool = False) -> None:
        super().__init__()
        if kernel_size not in BRANCHES:
            raise ValueError(f"dilated_kernel_size: expected one of {', '.join(map(str, BRANCHES))}, got {kernel_size}")
        self._kernel_size = kernel_size
        self._branches = () if fused else BRANCHES[kernel_size]
        self.lk_origin = _depthwise(channels, kernel_size, bias=fused)
        self.origin_bn = None if fused else nn.BatchNorm2D(channels)
        for size, dilation in self._branches:
            self.add_sublayer(f"dil_conv_k{size}_{dilation}", _depthwise(channels, size, dilation))
            self.add_sublayer(f"dil_bn_k{size}_{dilation}", nn.BatchNorm2D(channels))

    def _branch(self, size: int, dilation: int) -> tuple[nn.Layer, nn.Layer]:
        return getattr(self, f"dil_conv_k{size}_{dilation}"), getattr(self, f"dil_bn_k{size}_{dilation}")

    def forward(self, x: Tensor) -> Tensor:
        y = self.lk_origin(x)
        if self.origin_bn is None:
            return y
        y = self.origin_bn(y)
        for branch in self._branches:
            conv, norm = self._branch(*branch)
            y = y + norm(conv(x))
        return y

    def branches(self) -> Branches | None:
        """The large kernel can take a deployed convolution; None if the branches are fused."""
        if self.origin_bn is None:
            return None
        others = [self._branch(*branch) for branch in self._branches]
        members = (self.lk_origin, self.origin_bn, *(layer for pair in others for layer in pair))
        return Branches(self.lk_origin, self.origin_bn, tuple(norm for _, norm in others), members)

    @paddle.no_grad()
    def fuse(self) -> None:
        """Replaces all branches by one convolution with the same result in evaluation mode."""
        if self.origin_bn is None:
            return
        kernel_size = self._kernel_size
        weight, bias = folded(self.lk_origin.weight, self.origin_bn)
        for size, dilation in self._branches:
            conv, norm = self._branch(size, dilation)
            small, shift = folded(conv.weight, norm)
            first = kernel_size // 2 - dilation * (size // 2)
            last = kernel_size - first
            weight[:, :, first:last:dilation, first:last:dilation] += small
            bias = bias + shift
            delattr(self, f"dil_conv_k{size}_{dilation}")
            delattr(self, f"dil_bn_k{size}_{dilation}")
        self.lk_origin = _depthwise(self.lk_origin._out_channels, kernel_size, bias=True)
        self.lk_origin.weight.set_value(weight)
        self.lk_origin.bias.set_value(bias)
        self.origin_bn, self._branches = None, ()


class DilatedReparamConv(nn.Layer):
    """A large kernel with a change of channels: DilatedReparamBlock, 1×1 convolution, batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 9, fused: bool = False) -> None:
        super().__init__()
        self.dw = DilatedReparamBlock(in_channels, kernel_size, fused)
        self.pw = _pointwise(in_channels, out_channels, bias=fused)
        self.bn = None if fused else nn.BatchNorm2D(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pw(self.dw(x))
        return x if self.bn is None else self.bn(x)

    @paddle.no_grad()
    def fuse(self) -> None:
        """One depthwise and one 1×1 convolution with the same result in evaluation mode."""
        self.dw.fuse()
        if self.bn is None:
            return
        weight, bias = folded(self.pw.weight, self.bn)
        self.pw, self.bn = _pointwise(self.pw._in_channels, self.pw._out_channels, bias=True), None
        self.pw.weight.set_value(weight)
        self.pw.bias.set_value(bias)


class RepLKFPN(nn.Layer):
    """PP-OCRv6's pyramid for tiny and small detectors: RSEFPN with large depthwise kernels in place of 3×3 ones.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the joined map, a multiple of 4.
        dilated_kernel_size: 5, 7, 9, 11 or 13.
        shortcut: add the result of channel attention to its input.
        fused: one depthwise convolution with bias in place of the branches, as in deployed models; for fine-tuning.

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4], as DBFPN, or a `Pyramid` for a head with auxiliary
    maps.
    """

    size_multiple = 32

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 96,
        dilated_kernel_size: int = 7,
        shortcut: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        check_channels(type(self).__name__, in_channels, out_channels)
        self.out_channels = out_channels
        self.ins_conv = nn.LayerList([RSELayer(c, out_channels, 1, shortcut) for c in in_channels])
        self.inp_conv_dw = nn.LayerList(
            [DilatedReparamBlock(out_channels, dilated_kernel_size, fused) for _ in in_channels]
        )
        self.inp_conv_pw = nn.LayerList([_pointwise(out_channels, out_channels // 4) for _ in in_channels])
        self.inp_conv_se = nn.LayerList([SqueezeExcite(out_channels // 4) for _ in in_channels])
        self._shortcut = shortcut
        self.keep_levels_apart = False
        self.gives_pyramid = False

    def forward(self, features: Sequence[Tensor]) -> Tensor | TwoLevels | Pyramid:
        outs = top_down(self.ins_conv, features)
        # The coarsest first, as in PaddleOCR, so that deployed files can be matched.
        levels = [self._level(number, out) for number, out in reversed([*enumerate(outs)])][::-1]
        joined = joined_levels(levels, self.keep_levels_apart)
        return Pyramid(joined, (outs[0], outs[1], outs[2])) if self.gives_pyramid else joined

    def _level(self, number: int, x: Tensor) -> Tensor:
        x = self.inp_conv_pw[number](self.inp_conv_dw[number](x))
        attended = self.inp_conv_se[number](x)
        return x + attended if self._shortcut else attended


class RepLKPAN(PathAggregation):
    """PP-OCRv6's pyramid for medium detectors: LKPAN with 9×9 kernels that are depthwise.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the joined map, a multiple of 8.
        intracl: an IntraCLBlock on each level.
        fused: convolutions with bias in place of branches and norms (but IntraCLBlock's), as in deployed models; for
            fine-tuning.

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4], as DBFPN, or a `Pyramid` for a head with auxiliary
    maps.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int = 256, intracl: bool = False, fused: bool = False
    ) -> None:
        def large(channels_in: int, channels_out: int) -> DilatedReparamConv:
            return DilatedReparamConv(channels_in, channels_out, 9, fused)

        super().__init__(in_channels, out_channels, large, intracl)


def _depthwise(channels: int, size: int, dilation: int = 1, bias: bool = False) -> Conv2D:
    return Conv2D(
        channels, channels, size, padding=dilation * (size - 1) // 2, dilation=dilation, groups=channels,
        bias_attr=None if bias else False,
    )  # fmt: skip


def _pointwise(in_channels: int, out_channels: int, bias: bool = False) -> Conv2D:
    weight = paddle.ParamAttr(initializer=initializer.KaimingUniform())
    return Conv2D(in_channels, out_channels, 1, weight_attr=weight, bias_attr=None if bias else False)
