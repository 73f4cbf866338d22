"""PP-LCNetV3, the backbone of PP-OCRv4's and v5's mobile models: depthwise separable blocks of branches that fuse into
one convolution for inference (after RepVGG, Ding et al., arXiv 2101.03697), with learnable affine scales.

Names and shapes of the parameters are those of PaddleOCR's `rec_lcnetv3`.
"""

from __future__ import annotations

from typing import NamedTuple

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.hooks import Branches
from ocrexp.models.layers import (
    Conv2D,
    SqueezeExcite,
    Stride,
    channels_of,
    conv2d,
    folded,
    half_padded_conv,
    make_divisible,
)


class LCNetV3Spec(NamedTuple):
    """A block at scale 1."""

    kernel_size: int
    channels: int
    out_channels: int
    stride: Stride
    squeeze_excite: bool = False


_REC_STAGES: dict[str, tuple[LCNetV3Spec, ...]] = {
    "blocks2": (LCNetV3Spec(3, 16, 32, 1),),
    "blocks3": (LCNetV3Spec(3, 32, 64, 1), LCNetV3Spec(3, 64, 64, 1)),
    "blocks4": (LCNetV3Spec(3, 64, 128, (2, 1)), LCNetV3Spec(3, 128, 128, 1)),
    "blocks5": (LCNetV3Spec(3, 128, 256, (1, 2)), *[LCNetV3Spec(5, 256, 256, 1)] * 4),
    "blocks6": (
        LCNetV3Spec(5, 256, 512, (2, 1), squeeze_excite=True),
        LCNetV3Spec(5, 512, 512, 1, squeeze_excite=True),
        LCNetV3Spec(5, 512, 512, (2, 1)),
        LCNetV3Spec(5, 512, 512, 1),
    ),
}
_DET_STAGES: dict[str, tuple[LCNetV3Spec, ...]] = {
    "blocks2": (LCNetV3Spec(3, 16, 32, 1),),
    "blocks3": (LCNetV3Spec(3, 32, 64, 2), LCNetV3Spec(3, 64, 64, 1)),
    "blocks4": (LCNetV3Spec(3, 64, 128, 2), LCNetV3Spec(3, 128, 128, 1)),
    "blocks5": (LCNetV3Spec(3, 128, 256, 2), *[LCNetV3Spec(5, 256, 256, 1)] * 4),
    "blocks6": (
        LCNetV3Spec(5, 256, 512, 2, squeeze_excite=True),
        LCNetV3Spec(5, 512, 512, 1, squeeze_excite=True),
        LCNetV3Spec(5, 512, 512, 1),
        LCNetV3Spec(5, 512, 512, 1),
    ),
}
_DET_CHANNELS = (16, 24, 56, 480)  # of the maps given on, at scale 1
_DIVISOR = 16


class LearnableAffine(nn.Layer):
    """One scale and one bias for a whole tensor; they learn at `lab_lr` of the learning rate."""

    def __init__(self, lab_lr: float) -> None:
        super().__init__()
        attr = paddle.ParamAttr(learning_rate=lab_lr)
        self.scale = self.create_parameter([1], attr=attr, default_initializer=nn.initializer.Constant(1.0))
        self.bias = self.create_parameter([1], attr=attr, default_initializer=nn.initializer.Constant(0.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.bias


class Activation(nn.Layer):
    """Hard swish and a learnable affine."""

    def __init__(self, lab_lr: float) -> None:
        super().__init__()
        self.lab = LearnableAffine(lab_lr)

    def forward(self, x: Tensor) -> Tensor:
        return self.lab(F.hardswish(x))


class PlainConvBN(nn.Layer):
    """Convolution without bias, batch norm, no activation."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: Stride = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = half_padded_conv(
            in_channels, out_channels, kernel_size, stride, groups, nn.initializer.KaimingNormal()
        )
        self.bn = nn.BatchNorm2D(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class RepConv(nn.Layer):
    """Sum of `branches` k×k convolutions, a 1×1 convolution and an identity, each with its batch norm; then affine,
    hard swish, affine. `fuse()` turns the sum into one convolution with bias, for inference; with `fused` it is that
    from the start, as in deployed models.

    As in PaddleOCR, nothing follows the first affine where the stride is 2 in both directions; the parameters are there
    all the same."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: Stride,
        groups: int,
        branches: int,
        lab_lr: float,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self._kernel_size, self._stride = kernel_size, stride
        self._activated = stride != 2
        self.reparam_conv: Conv2D | None = self._one_conv(in_channels, out_channels, groups) if fused else None
        if not fused:
            self._add_branches(in_channels, out_channels, groups, branches)
        self.lab = LearnableAffine(lab_lr)
        self.act = Activation(lab_lr)

    def _add_branches(self, in_channels: int, out_channels: int, groups: int, branches: int) -> None:
        kernel_size, stride = self._kernel_size, self._stride
        self.identity = nn.BatchNorm2D(in_channels) if out_channels == in_channels and stride == 1 else None
        self.conv_kxk = nn.LayerList(
            [PlainConvBN(in_channels, out_channels, kernel_size, stride, groups) for _ in range(branches)]
        )
        self.conv_1x1 = PlainConvBN(in_channels, out_channels, 1, stride, groups) if kernel_size > 1 else None

    def _one_conv(self, in_channels: int, out_channels: int, groups: int) -> Conv2D:
        size, stride = self._kernel_size, self._stride
        weight = paddle.ParamAttr(initializer=nn.initializer.KaimingNormal())
        return Conv2D(
            in_channels, out_channels, size, stride=stride, padding=size // 2, groups=groups, weight_attr=weight
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.reparam_conv is not None:
            # A layer with hooks is to be called (quantization-aware training).
            if self.training and paddle.in_dynamic_mode() and not self.reparam_conv._forward_pre_hooks:
                return self._activate(self._scaled_conv(x, self.reparam_conv))
            y = self.reparam_conv(x)
        else:
            branches = [self.identity, self.conv_1x1, *self.conv_kxk]
            terms = [branch(x) for branch in branches if branch is not None]
            y = sum(terms[1:], start=terms[0])
        return self._activate(self.lab(y))

    def _activate(self, y: Tensor) -> Tensor:
        return self.act(y) if self._activated else y

    def _scaled_conv(self, x: Tensor, conv: Conv2D) -> Tensor:
        """The convolution and the first affine as one: the affine of a kernel takes nothing beside that of a map, which
        was a ninth of a training step. An exported graph keeps both, as PaddleOCR's has them."""
        weight, bias = conv.weight * self.lab.scale, conv.bias * self.lab.scale + self.lab.bias
        return conv2d(x, weight, bias, self._stride, self._kernel_size // 2, conv._groups)

    def branches(self) -> Branches | None:
        """The branches, of which the first can take a deployed convolution; None if they are fused."""
        if self.reparam_conv is not None:
            return None
        members = [layer for layer in (*self.conv_kxk, self.conv_1x1, self.identity) if layer is not None]
        first, *others = (layer.bn if isinstance(layer, PlainConvBN) else layer for layer in members)
        return Branches(self.conv_kxk[0].conv, first, tuple(others), tuple(members))

    def fuse(self) -> None:
        """Replaces the branches by one convolution with the same result in evaluation mode."""
        if self.reparam_conv is not None:
            return
        fused = self._one_conv(**channels_of(self.conv_kxk[0].conv))
        in_channels, groups = fused._in_channels, fused._groups
        with paddle.no_grad():
            terms = [self._as_conv(conv.conv.weight, conv.bn) for conv in self.conv_kxk]
            if self.conv_1x1 is not None:
                terms.append(self._as_conv(self.conv_1x1.conv.weight, self.conv_1x1.bn))
            if self.identity is not None:
                kernel = paddle.zeros([in_channels, in_channels // groups, 1, 1])
                rows = paddle.arange(in_channels)
                kernel[rows, rows % (in_channels // groups), 0, 0] = 1.0
                terms.append(self._as_conv(kernel, self.identity))
            fused.weight.set_value(sum(weight for weight, _ in terms))
            fused.bias.set_value(sum(bias for _, bias in terms))
        del self.conv_kxk, self.conv_1x1, self.identity
        self.reparam_conv = fused

    def _as_conv(self, weight: Tensor, norm: nn.Layer) -> tuple[Tensor, Tensor]:
        """Kernel and bias of a convolution followed by batch norm, the kernel padded to this layer's size."""
        kernel, bias = folded(weight, norm)
        margin = (self._kernel_size - weight.shape[-1]) // 2
        return F.pad(kernel, [margin] * 4), bias


class LCNetV3Block(nn.Layer):
    """Depthwise RepConv, optional channel attention, pointwise RepConv."""

    def __init__(self, row: LCNetV3Spec, scale: float, branches: int, lab_lr: float, fused: bool = False) -> None:
        super().__init__()
        channels = make_divisible(row.channels * scale, _DIVISOR)
        out_channels = make_divisible(row.out_channels * scale, _DIVISOR)
        self.dw_conv = RepConv(channels, channels, row.kernel_size, row.stride, channels, branches, lab_lr, fused)
        self.se = SqueezeExcite(channels, slope=1 / 6) if row.squeeze_excite else None
        self.pw_conv = RepConv(channels, out_channels, 1, 1, 1, branches, lab_lr, fused)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw_conv(x)
        if self.se is not None:
            x = self.se(x)
        return self.pw_conv(x)


class PPLCNetV3(nn.Layer):
    """PP-LCNetV3 for recognition or detection.

    Args:
        scale: width multiplier; channels are rounded to multiples of 16.
        conv_kxk_num: k×k branches of each convolution in training.
        lab_lr: share of the learning rate at which the affine scales learn.
        in_channels: channels of the image.
        det: four maps for a detector.
        fused: one convolution with bias in place of the branches and their batch norms, as in deployed models. Names
            are `reparam_conv.weight` and `.bias`. For fine-tuning: without batch norms a random start learns badly.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, 1, W / 8]. PaddleOCR pools to 40 steps in training
    whatever the width, here the steps follow the width in training as in evaluation; at width 320 both are 40. With
    `det` it gives four maps with `out_channels` at strides 4, 8, 16, 32; H and W should be multiples of 32.
    """

    def __init__(
        self,
        scale: float = 0.95,
        conv_kxk_num: int = 4,
        lab_lr: float = 0.1,
        in_channels: int = 3,
        det: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self._stages = _DET_STAGES if det else _REC_STAGES
        self.conv1 = PlainConvBN(in_channels, make_divisible(16 * scale, _DIVISOR), 3, stride=2)
        for name, rows in self._stages.items():
            stage = nn.Sequential(*(LCNetV3Block(row, scale, conv_kxk_num, lab_lr, fused) for row in rows))
            self.add_sublayer(name, stage)
        self.layer_list: nn.LayerList | None = None
        self.out_channels: int | list[int] = make_divisible(512 * scale, _DIVISOR)
        if det:
            self.out_channels = [int(channels * scale) for channels in _DET_CHANNELS]
            widths = [make_divisible(rows[-1].out_channels * scale, _DIVISOR) for rows in self._stages.values()]
            self.layer_list = nn.LayerList(
                [Conv2D(width, given, 1) for width, given in zip(widths[1:], self.out_channels, strict=True)]
            )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x = self.conv1(x)
        maps = []
        for name in self._stages:
            x = getattr(self, name)(x)
            maps.append(x)
        if self.layer_list is not None:
            return [layer(maps[number]) for number, layer in enumerate(self.layer_list, 1)]
        return F.avg_pool2d(x, kernel_size=[x.shape[2], 2])

    def fuse(self) -> None:
        """Fuses all branches for inference; the state then has other names, so do it on a copy."""
        for layer in self.sublayers():
            if isinstance(layer, RepConv):
                layer.fuse()
