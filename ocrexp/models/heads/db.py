"""The head of DB, differentiable binarization (Liao et al., arXiv 1911.08947).

Names and shapes of the parameters are those of PaddleOCR's `DBHead`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer

from ocrexp.models.cpu import conv as cpu
from ocrexp.models.cpu.recompute import recomputed
from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.layers import Conv2D, full_precision, permuted, relu
from ocrexp.models.necks.pyramid import Pyramid


class MapBranch(nn.Layer):
    """A map at full resolution from features at stride 4: a convolution, two transposed ones of stride 2, sigmoid."""

    def __init__(self, in_channels: int, kernel_list: Sequence[int], fused: bool = False) -> None:
        super().__init__()
        channels = in_channels // 4
        first, second, third = kernel_list
        self.conv1 = Conv2D(in_channels, channels, first, padding=first // 2, bias_attr=None if fused else False)
        self.conv_bn1 = nn.Identity() if fused else _batch_norm(channels)
        self.conv2 = _transposed(channels, channels, second, bias_bound=1 / math.sqrt(channels))
        self.conv_bn2 = nn.Identity() if fused else _batch_norm(channels)
        self.conv3 = _transposed(channels, 1, third, bias_bound=1 / math.sqrt(channels))
        self._pointwise = second == third == 2

    def forward(self, x: Tensor | TwoLevels) -> Tensor:
        return self.upsample(self._first(x))

    def with_features(self, x: Tensor | TwoLevels) -> tuple[Tensor, Tensor]:
        """The map [N, 1, H, W], and the features [N, C / 4, H/2, W/2] that it is made of."""
        features = relu(self.conv_bn2(self.conv2(relu(self.conv_bn1(self._first(x))))))
        return probability(self.conv3(features)), features

    def _first(self, x: Tensor | TwoLevels) -> Tensor:
        return self.shifted(x.conv3x3(self.conv1.weight)) if isinstance(x, TwoLevels) else self.conv1(x)

    def shifted(self, x: Tensor) -> Tensor:
        """What the first convolution gives without its bias, with it, where it has one."""
        if self.conv1.bias is None:
            return x
        return cpu.add_bias(x, self.conv1.bias) if cpu.applies(x) else x + self.conv1.bias.reshape([1, -1, 1, 1])

    def upsample(self, x: Tensor) -> Tensor:
        """What follows the first convolution: [N, C, H/4, W/4] to [N, 1, H, W]."""
        if self._pointwise and cpu.applies(x):
            plain = all(type(norm) is nn.BatchNorm2D for norm in (self.conv_bn1, self.conv_bn2))
            if self.training and plain:
                return recomputed(self._upsample_pointwise, self, x)
            return self._upsample_pointwise(x)
        x = relu(self.conv_bn1(x))
        x = relu(self.conv_bn2(self.conv2(x)))
        return probability(self.conv3(x))

    @paddle.no_grad()
    def fuse(self) -> None:
        """Fuses the batch norm into the first transposed convolution before it, which no runtime does; the
        same results in evaluation mode."""
        norm = self.conv_bn2
        if not isinstance(norm, nn.BatchNorm2D):
            return
        scale = norm.weight / paddle.sqrt(norm._variance + norm._epsilon)
        self.conv2.weight.set_value(self.conv2.weight * scale.reshape([1, -1, 1, 1]))
        self.conv2.bias.set_value((self.conv2.bias - norm._mean) * scale + norm.bias)
        self.conv_bn2 = nn.Identity()

    def _upsample_pointwise(self, x: Tensor) -> Tensor:
        """The same by matrix products: 2×2 kernels of stride 2 make each pixel a block that overlaps no other.

        A block's pixels stay side by side, [N, C, 4, H * W], through the batch norm, which does not care for their
        order; only the one-channel map is put in place at the end.
        """
        n, before, h, w = x.shape
        c = self.conv2.weight.shape[1]  # a pruned network has other channels in between
        x = relu(self.conv_bn1(x))
        weight = permuted(self.conv2.weight, [1, 2, 3, 0]).reshape([c * 4, before])
        # The bias rides along as one more input channel of ones: adding it to the product would take a second.
        bias = self.conv2.bias.reshape([c, 1]).expand([c, 4]).reshape([c * 4, 1])
        x = paddle.concat([x.reshape([n, before, h * w]), paddle.ones([n, 1, h * w])], axis=1)
        x = paddle.matmul(paddle.concat([weight, bias], axis=1), x).reshape([n, c, 4, h * w])
        x = relu(self.conv_bn2(x))
        weight = permuted(self.conv3.weight, [2, 3, 1, 0]).reshape([4, c])
        x = paddle.matmul(weight, x.reshape([n, c, 4 * h * w]))
        x = probability(x.add_(self.conv3.bias))
        # inner row, inner column, outer row, outer column, height, width
        x = x.reshape([n, 2, 2, 2, 2, h, w]).transpose([0, 5, 3, 1, 6, 4, 2])
        return x.reshape([n, 1, 4 * h, 4 * w])


# Levels with auxiliary maps, and how far each is enlarged to stride 4; PaddleOCR's order.
_AUX_LEVELS = {"p4": 4, "p3": 2, "p2": 1}


class DBHead(nn.Layer):
    """Shrink map, threshold map and their differentiable binarization.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).
        k: steepness of the binarization 1 / (1 + exp(-k (shrink - threshold))).
        kernel_list: kernel sizes of the convolution and of the two transposed convolutions (stride 2, no padding).
        aux: three more pairs of branches, for the levels of the neck at strides 4, 8 and 16, in training only
            (PP-OCRv6). The neck must give its levels.
        fused: the batch norms are in the convolutions, as in deployed PP-OCRv6 models; for fine-tuning.

    `forward(features [N, in_channels, H/4, W/4])` gives `{"maps": …}`: in training [N, 3, H, W] (shrink, threshold,
    binary), in evaluation [N, 1, H, W] (shrink), all in 0..1, float32 in mixed precision too. With `aux` training gives
    `aux_maps_p4`, `aux_maps_p3`, `aux_maps_p2` of the same shape as well.
    """

    needs_targets = False
    output: ClassVar[str] = "maps"

    @property
    def takes_levels_apart(self) -> bool:
        """Whether the neck may leave its coarser levels at half size."""
        return self._kernel_size == 3

    @property
    def takes_pyramid(self) -> bool:
        """Whether it learns from the levels of the neck too."""
        return self._aux

    def __init__(
        self,
        in_channels: int,
        k: float = 50,
        kernel_list: Sequence[int] = (3, 2, 2),
        aux: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__()
        if len(kernel_list) != 3:
            raise ValueError(f"kernel_list: expected three sizes, such as [3,2,2], got {list(kernel_list)}")
        self.k = float(k)
        self._kernel_size = kernel_list[0]
        self.binarize = MapBranch(in_channels, kernel_list, fused)
        self.thresh = MapBranch(in_channels, kernel_list, fused)
        self._aux = aux
        for level in _AUX_LEVELS if aux else ():
            for kind in ("binarize", "thresh"):
                self.add_sublayer(f"aux_{kind}_{level}", MapBranch(in_channels, kernel_list, fused))

    def forward(self, x: Tensor | TwoLevels | Pyramid) -> dict[str, Tensor]:
        joined = x.joined if isinstance(x, Pyramid) else x
        if not self.training:
            return {"maps": self.binarize(joined)}
        both = self._both(joined) if isinstance(joined, TwoLevels) else (self.binarize(joined), self.thresh(joined))
        return {"maps": self._all_maps(*both), **self._aux_maps(x)}

    def completed(self, x: Tensor | TwoLevels | Pyramid, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs of training from those of evaluation, which have the shrink map already."""
        threshold = self.thresh(x.joined if isinstance(x, Pyramid) else x)
        return {"maps": self._all_maps(outputs["maps"], threshold), **self._aux_maps(x)}

    def _aux_maps(self, x: Tensor | TwoLevels | Pyramid) -> dict[str, Tensor]:
        """Maps of each level, brought to stride 4 first."""
        if not isinstance(x, Pyramid):
            return {}
        maps = {}
        for level, factor in _AUX_LEVELS.items():
            features = x.levels[int(level[1]) - 2]
            if factor > 1:
                features = F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
            branches = (getattr(self, f"aux_{kind}_{level}") for kind in ("binarize", "thresh"))
            maps[f"aux_maps_{level}"] = self._all_maps(*(branch(features) for branch in branches))
        return maps

    def _all_maps(self, shrink: Tensor, threshold: Tensor) -> Tensor:
        with full_precision():
            return paddle.concat([shrink, threshold, binarized(shrink, threshold, self.k)], axis=1)

    def drop_training_branches(self) -> None:
        """Leaves the shrink map's branch alone, which is all that evaluation uses."""
        del self.thresh
        for level in _AUX_LEVELS if self._aux else ():
            delattr(self, f"aux_binarize_{level}")
            delattr(self, f"aux_thresh_{level}")
        self._aux = False

    def _both(self, x: TwoLevels) -> tuple[Tensor, Tensor]:
        """Shrink and threshold map, their first convolutions done as one: `x` is read once."""
        weights = self.binarize.conv1.weight, self.thresh.conv1.weight
        sizes = [int(weight.shape[0]) for weight in weights]
        first, second = x.conv3x3(paddle.concat(weights)).split(sizes, axis=1)
        branches = (self.binarize, first), (self.thresh, second)
        shrink, threshold = (branch.upsample(branch.shifted(half)) for branch, half in branches)
        return shrink, threshold


def binarized(shrink: Tensor, threshold: Tensor, k: float) -> Tensor:
    """The differentiable binarization of two maps."""
    return F.sigmoid(k * (shrink - threshold))


def probability(logits: Tensor) -> Tensor:
    """Sigmoid in float32: the binarization multiplies differences of maps by 50, and with them what rounding loses."""
    with full_precision():
        return F.sigmoid(logits.astype("float32"))


def _batch_norm(channels: int) -> nn.BatchNorm2D:
    return nn.BatchNorm2D(
        channels,
        weight_attr=paddle.ParamAttr(initializer=initializer.Constant(1.0)),
        bias_attr=paddle.ParamAttr(initializer=initializer.Constant(1e-4)),
    )


def _transposed(in_channels: int, out_channels: int, kernel_size: int, bias_bound: float) -> nn.Conv2DTranspose:
    return nn.Conv2DTranspose(
        in_channels,
        out_channels,
        kernel_size,
        stride=2,
        weight_attr=paddle.ParamAttr(initializer=initializer.KaimingUniform()),
        bias_attr=paddle.ParamAttr(initializer=initializer.Uniform(-bias_bound, bias_bound)),
    )
