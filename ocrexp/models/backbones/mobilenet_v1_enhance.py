"""MobileNetV1 with 5×5 depthwise convolutions and late channel attention: PP-OCRv2's and v3's recognition backbone.

After PP-LCNet (Cui et al., arXiv 2109.15099; PP-OCRv3: Li et al., arXiv 2206.03001). Names and shapes of the parameters
are those of PaddleOCR's `rec_mv1_enhance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import SqueezeExcite, Stride, half_padded_conv


class SeparableSpec(NamedTuple):
    """A depthwise separable convolution at scale 1."""

    channels: int
    out_channels: int
    kernel_size: int
    stride: tuple[int, int]
    squeeze_excite: bool = False


_ROWS = (
    SeparableSpec(32, 64, 3, (1, 1)),
    SeparableSpec(64, 128, 3, (1, 1)),
    SeparableSpec(128, 128, 3, (1, 1)),
    SeparableSpec(128, 256, 3, (2, 1)),
    SeparableSpec(256, 256, 3, (1, 1)),
    SeparableSpec(256, 512, 3, (2, 1)),
    *[SeparableSpec(512, 512, 5, (1, 1))] * 5,
    SeparableSpec(512, 1024, 5, (2, 1), squeeze_excite=True),
)


class ConvBNHardSwish(nn.Layer):
    """Convolution without bias, batch norm, hard swish."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: Stride = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self._conv = half_padded_conv(
            in_channels, out_channels, kernel_size, stride, groups, nn.initializer.KaimingNormal()
        )
        self._batch_norm = nn.BatchNorm2D(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(self._batch_norm(self._conv(x)))


class DepthwiseSeparable(nn.Layer):
    """Depthwise convolution, optional channel attention, pointwise convolution."""

    def __init__(
        self, channels: int, out_channels: int, kernel_size: int, stride: tuple[int, int], squeeze_excite: bool
    ) -> None:
        super().__init__()
        self._depthwise_conv = ConvBNHardSwish(channels, channels, kernel_size, stride, groups=channels)
        self._se = SqueezeExcite(channels, slope=1 / 6) if squeeze_excite else None
        self._pointwise_conv = ConvBNHardSwish(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self._depthwise_conv(x)
        if self._se is not None:
            x = self._se(x)
        return self._pointwise_conv(x)


class MobileNetV1Enhance(nn.Layer):
    """PP-OCRv3's recognition backbone.

    Args:
        scale: width multiplier.
        last_conv_stride: stride of the last depthwise convolution (height, width).
        last_pool_type: `avg` or `max`, the pooling at the end.
        last_pool_kernel_size: its size and stride (height, width).
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, H / 32, W / 8] with the defaults of PP-OCRv3
    (last_conv_stride [1, 2], avg, [2, 2]): [N, 512, 1, 40] from 48×320 at scale 0.5.
    """

    def __init__(
        self,
        scale: float = 0.5,
        last_conv_stride: Sequence[int] = (1, 2),
        last_pool_type: Literal["avg", "max"] = "avg",
        last_pool_kernel_size: Sequence[int] = (2, 2),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if last_pool_type not in ("avg", "max"):
            raise ValueError(f"last_pool_type: expected avg or max, got {last_pool_type}")
        if len(last_conv_stride) != 2 or len(last_pool_kernel_size) != 2:
            raise ValueError("last_conv_stride, last_pool_kernel_size: expected two numbers, such as [1,2]")
        last = SeparableSpec(1024, 1024, 5, (last_conv_stride[0], last_conv_stride[1]), squeeze_excite=True)
        self.conv1 = ConvBNHardSwish(in_channels, int(32 * scale), 3, stride=2)
        self.block_list = nn.Sequential(
            *(
                DepthwiseSeparable(
                    int(row.channels * scale),
                    int(row.out_channels * scale),
                    row.kernel_size,
                    row.stride,
                    row.squeeze_excite,
                )
                for row in (*_ROWS, last)
            )
        )
        self._pool = F.avg_pool2d if last_pool_type == "avg" else F.max_pool2d
        self._pool_size = list(last_pool_kernel_size)
        self.out_channels = int(1024 * scale)

    def forward(self, x: Tensor) -> Tensor:
        return self._pool(self.block_list(self.conv1(x)), kernel_size=self._pool_size, stride=self._pool_size)
