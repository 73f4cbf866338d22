"""3×3 convolutions of maps that were doubled by nearest upsampling, without making the doubled map.

Doubling repeats each value 2×2 times, so a 3×3 window of the doubled map sees only 2×2 different values: which kernel
rows (columns) fall together depends on whether the output row (column) is even or odd. Four 2×2 convolutions of the
small map, one for each parity, give the same sums with 16 products in place of 36, and nothing of the doubled input's
size is ever in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import paddle
from paddle import Tensor

from ocrexp.models.cpu import conv as cpu
from ocrexp.models.layers import conv2d, nearest_upsample, permuted


@dataclass(frozen=True, slots=True)
class TwoLevels:
    """The channels of one map, some of them kept at half its size: `concat([doubled(half), full])`."""

    half: Tensor
    full: Tensor

    def index_select(self, rows: Tensor) -> TwoLevels:
        """The same of some images of the batch."""
        return TwoLevels(self.half.index_select(rows), self.full.index_select(rows))

    def joined(self) -> Tensor:
        return paddle.concat([nearest_upsample(self.half, 2), self.full], axis=1)

    def conv3x3(self, weight: Tensor) -> Tensor:
        """3×3 convolution, padding 1, of the joined map."""
        channels = self.half.shape[1]
        of_half = conv3x3_of_doubled(self.half, weight[:, :channels])
        return of_half + conv2d(self.full, weight[:, channels:].contiguous(), None, 1, 1)


def conv3x3_of_doubled(x: Tensor, weight: Tensor) -> Tensor:
    """`conv2d(nearest_upsample(x, 2), weight, padding=1)`: [N, C, H, W] by [O, C, 3, 3] to [N, O, 2H, 2W]."""
    kernels = [kernel for rows in _by_parity(weight, 2) for kernel in _by_parity(rows, 3)]
    y = cpu.conv2x2_by_parity(x, kernels) if cpu.applies(x) else None
    return conv2d(nearest_upsample(x, 2), weight, None, 1, 1) if y is None else y


def composed(weight: Tensor, pointwise: Tensor) -> Tensor:
    """Weights [O, C, kh, kw] of one convolution that does `pointwise` [M, C, 1, 1], then `weight` [O, M, kh, kw]."""
    out, middle, kh, kw = weight.shape
    taps = permuted(weight, [2, 3, 0, 1]).reshape([kh * kw * out, middle])
    product = paddle.matmul(taps, pointwise.reshape([middle, -1]))
    return product.reshape([kh, kw, out, -1]).transpose([2, 3, 0, 1]).contiguous()


def _by_parity(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The two taps that three kernel rows (columns) become for an even and for an odd output row (column)."""
    first, middle, last = weight.split(3, axis=axis)
    return paddle.concat([first, middle + last], axis=axis), paddle.concat([first + middle, last], axis=axis)
