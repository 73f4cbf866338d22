"""Feature pyramids that go down and up again with large kernels (after PANet, Liu et al., arXiv 1803.01534).

Names and shapes of the parameters are those of PaddleOCR's `LKPAN`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import initializer

from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.layers import Conv2D
from ocrexp.models.necks.db_fpn import check_channels, coarsest_first, joined_levels, top_down
from ocrexp.models.necks.intracl import add_blocks, with_context
from ocrexp.models.necks.pyramid import Pyramid


class PathAggregation(nn.Layer):
    """Lateral 1×1 convolutions and top-down sums, a large kernel a level, bottom-up sums, a large kernel a level.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32.
        out_channels: channels of the joined map, a multiple of 4.
        large: makes a convolution that keeps the size, from its input and output channels.
        intracl: an IntraCLBlock on each level.

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4], as DBFPN, or a `Pyramid` for a head with auxiliary
    maps.
    """

    size_multiple = 32

    def __init__(
        self, in_channels: Sequence[int], out_channels: int, large: Callable[[int, int], nn.Layer], intracl: bool
    ) -> None:
        super().__init__()
        check_channels(type(self).__name__, in_channels, out_channels)
        self.out_channels, share = out_channels, out_channels // 4
        self.ins_conv = nn.LayerList([_conv(c, out_channels, 1) for c in in_channels])
        self.inp_conv = nn.LayerList([large(out_channels, share) for _ in in_channels])
        self.pan_head_conv = nn.LayerList([_conv(share, share, 3, stride=2) for _ in in_channels[1:]])
        self.pan_lat_conv = nn.LayerList([large(share, share) for _ in in_channels])
        self._intracl = intracl
        if intracl:
            add_blocks(self, share)
        self.keep_levels_apart = False
        self.gives_pyramid = False

    def forward(self, features: Sequence[Tensor]) -> Tensor | TwoLevels | Pyramid:
        outs = top_down(self.ins_conv, features)
        maps = coarsest_first(self.inp_conv, outs)
        for number, conv in enumerate(self.pan_head_conv):
            maps[number + 1] = maps[number + 1] + conv(maps[number])
        levels = [conv(maps[number]) for number, conv in enumerate(self.pan_lat_conv)]
        if self._intracl:
            levels = with_context(self, levels)
        joined = joined_levels(levels, self.keep_levels_apart)
        return Pyramid(joined, (outs[0], outs[1], outs[2])) if self.gives_pyramid else joined


class LKPAN(PathAggregation):
    """PP-OCR's pyramid for server detectors and teachers, with 9×9 convolutions (arXiv 2206.03001).

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the joined map, a multiple of 4, with `intracl` of 8.
        intracl: an IntraCLBlock on each level.

    `forward` is that of `PathAggregation`.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256, intracl: bool = False) -> None:
        super().__init__(in_channels, out_channels, lambda given, made: _conv(given, made, 9), intracl)


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> Conv2D:
    weight = paddle.ParamAttr(initializer=initializer.KaimingUniform())
    return Conv2D(
        in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, weight_attr=weight,
        bias_attr=False,
    )  # fmt: skip
