"""GA-SPIN (Zhang et al., arXiv 2005.13117): colors of a text image rectified by powers of its gray levels, and its
shape by a thin-plate spline.

Names and shapes of the parameters are those of PaddleOCR's `GA_SPIN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D, full_precision
from ocrexp.models.transforms.sampling import sample
from ocrexp.models.transforms.tps import GridGenerator, initial_points

_POINTS = 20
_FEATURES = 256
_LARGEST = 5.0  # where the identity's weight, and the share of the offsets, begin
_DARKEST = 1e-4  # gray level in 0..1; a byte's step is 4e-3


class GASPIN(nn.Layer):
    """Rectifies gray images before the backbone sees them.

    Args:
        in_channels: channels of the image.
        offsets: mix in values that are predicted for regions of the image.
        default_type: pairs of powers, beside the power 1.
        loc_lr: share of the learning rate at which weights and points are learned.
        stn: rectify the shape too.
        I_r_size: height and width of the result with `stn`, and of the images.

    `forward(images [N, C, H, W] in -1..1)` gives images of the same shape. Batch norms use their running statistics in
    training too, which therefore never change, as in PaddleOCR.
    """

    def __init__(
        self,
        in_channels: int = 1,
        offsets: bool = True,
        default_type: int = 6,
        loc_lr: float = 0.1,
        stn: bool = True,
        I_r_size: Sequence[int] = (32, 100),
    ) -> None:
        super().__init__()
        if default_type < 1:
            raise ValueError(f"default_type: expected 1 or more, got {default_type}")
        self._size = int(I_r_size[0]), int(I_r_size[1])
        self._powers = 2 * default_type + 1
        self._offsets, self._stn = offsets, stn
        self.sp_net = Powers(in_channels, default_type)
        widths = (in_channels, 32, 64, 128)
        self.spt_convnet = nn.Sequential(*(part for pair in pairwise(widths) for part in _block(*pair)))
        self.stucture_fc1 = nn.Sequential(
            *_block(128, 256),
            *_block(256, 256),
            *_block(256, 512)[:3],
            nn.AdaptiveAvgPool2D(1),
            nn.Flatten(1, -1),
            nn.Linear(512, _FEATURES, weight_attr=nn.initializer.Normal(0.001)),
            nn.BatchNorm1D(_FEATURES),
            nn.ReLU(),
        )
        start = np.zeros(2 * default_type + 1, np.float32)
        start[-1] = _LARGEST
        parts = [start]
        if offsets:
            parts.append(np.array([-_LARGEST], np.float32))
        if stn:
            self.GridGenerator = GridGenerator(_POINTS)
            parts.append(initial_points(_POINTS).astype(np.float32).reshape(-1))
        bias = np.concatenate(parts)
        self.stucture_fc2 = nn.Linear(
            _FEATURES,
            len(bias),
            weight_attr=paddle.ParamAttr(learning_rate=loc_lr, initializer=nn.initializer.Constant(0.0)),
            bias_attr=paddle.ParamAttr(learning_rate=loc_lr, initializer=nn.initializer.Assign(bias)),
        )
        if offsets:
            self.offset_fc1 = nn.Sequential(*_block(128, 16)[:3])
            self.offset_fc2 = nn.Conv2D(16, in_channels, 3, padding=1)
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        features = self.spt_convnet(x)
        found = self.stucture_fc2(self.stucture_fc1(features))
        weights, rest = found[:, : self._powers], found[:, self._powers :]
        image = ((x + 1) * 0.5).clip(0, 1)
        if self._offsets:
            share = F.sigmoid(rest[:, :1]).reshape([-1, 1, 1, 1])
            regions = F.sigmoid(F.max_pool2d(self.offset_fc2(self.offset_fc1(features)), kernel_size=2, stride=2))
            regions = _enlarged(regions, x.shape[2], x.shape[3])
            image = image * (1 - share) + regions * share
            rest = rest[:, 1:]
        image = self.sp_net(image, weights)
        if not self._stn:
            return image
        grid = self.GridGenerator(rest.reshape([-1, _POINTS, 2]), *self._size)
        return sample(image, grid, self.training, padding="border")


def _enlarged(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear interpolation of [N, C, h, w] to [N, C, height, width], corners not aligned, as two products: oneDNN
    refuses paddle's own in an exported graph."""
    rows = paddle.to_tensor(_linear(x.shape[2], height))
    columns = paddle.to_tensor(_linear(x.shape[3], width))
    return paddle.matmul(paddle.matmul(rows, x), columns, transpose_y=True)


def _linear(before: int, after: int) -> npt.NDArray[np.float32]:
    """[after, before]: shares of the old values in the new ones."""
    places = ((np.arange(after) + 0.5) * before / after - 0.5).clip(0, before - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(before)), 0).astype(np.float32)


class Powers(nn.Layer):
    """Gray levels in 0..1 raised to powers, their weighted sum normalized, in -1..1.

    Levels below `_DARKEST` count as this one. Without it, as in PaddleOCR, 0 and 10⁻⁹ to the power of 0.03 are 0 and
    0.54: black pixels depend on the rounding of a kernel, and their gradient is infinite.
    """

    def __init__(self, channels: int, pairs: int) -> None:
        super().__init__()
        self.bn = nn.InstanceNorm2D(channels)
        self._powers = []
        for index in range(1, pairs + 1):
            share = 0.5 / (pairs + 1) * index
            lower = round(log(1 - share) / log(share), 2)
            self._powers += [lower, round(1 / lower, 2)]
        self._powers.append(1.0)

    def forward(self, image: Tensor, weights: Tensor) -> Tensor:
        with full_precision():
            exponents = paddle.to_tensor(np.array(self._powers, np.float32).reshape(-1, 1, 1, 1))
            # Not `pow`: behind a sum, oneDNN gives the same result for all exponents in an exported graph.
            powers = (image.astype("float32").clip(min=_DARKEST).log().unsqueeze(1) * exponents).exp()
            mixed = (powers * weights.astype("float32").reshape([0, 0, 1, 1, 1])).sum(axis=1)
            return F.sigmoid(self.bn(mixed)) * 2 - 1


def _block(in_channels: int, channels: int) -> list[nn.Layer]:
    """3×3 convolution without bias, batch norm of fixed statistics, ReLU, maximum over 2×2 pixels."""
    return [
        Conv2D(in_channels, channels, 3, padding=1, bias_attr=False),
        nn.BatchNorm2D(channels, use_global_stats=True),
        nn.ReLU(),
        nn.MaxPool2D(kernel_size=2, stride=2),
    ]
