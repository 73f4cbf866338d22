"""The head of DB, differentiable binarization (Liao et al., arXiv 1911.08947).

Names and shapes of the parameters are those of PaddleOCR's `DBHead`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer

from ocrexp.errors import ConfigError


class MapBranch(nn.Layer):
    """A map at full resolution from features at stride 4: a convolution, two transposed ones of stride 2, sigmoid."""

    def __init__(self, in_channels: int, kernel_list: Sequence[int]) -> None:
        super().__init__()
        channels = in_channels // 4
        first, second, third = kernel_list
        self.conv1 = nn.Conv2D(in_channels, channels, first, padding=first // 2, bias_attr=False)
        self.conv_bn1 = _batch_norm(channels)
        self.conv2 = _transposed(channels, channels, second, bias_bound=1 / math.sqrt(channels))
        self.conv_bn2 = _batch_norm(channels)
        self.conv3 = _transposed(channels, 1, third, bias_bound=1 / math.sqrt(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv_bn1(self.conv1(x)))
        x = F.relu(self.conv_bn2(self.conv2(x)))
        return F.sigmoid(self.conv3(x))


class DBHead(nn.Layer):
    """Shrink map, threshold map and their differentiable binarization.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).
        k: steepness of the binarization 1 / (1 + exp(-k (shrink - threshold))).
        kernel_list: kernel sizes of the convolution and of the two transposed convolutions (stride 2, no padding).

    `forward(features [N, in_channels, H/4, W/4])` gives `{"maps": …}`: in training [N, 3, H, W] (shrink, threshold,
    binary), in evaluation [N, 1, H, W] (shrink), all in 0..1.
    """

    needs_targets = False

    def __init__(self, in_channels: int, k: float = 50, kernel_list: Sequence[int] = (3, 2, 2)) -> None:
        super().__init__()
        if len(kernel_list) != 3:
            raise ConfigError(f"model.head.kernel_list={list(kernel_list)}: give three sizes, as [3,2,2]")
        self.k = float(k)
        self.binarize = MapBranch(in_channels, kernel_list)
        self.thresh = MapBranch(in_channels, kernel_list)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        shrink = self.binarize(x)
        if not self.training:
            return {"maps": shrink}
        threshold = self.thresh(x)
        binary = F.sigmoid(self.k * (shrink - threshold))
        return {"maps": paddle.concat([shrink, threshold, binary], axis=1)}


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
