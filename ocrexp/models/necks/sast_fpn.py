"""SAST's neck (Wang et al., arXiv 1908.05498, section 3.1): fusion up and down to stride 4, and attention across it.

Names and shapes of the parameters are those of PaddleOCR's `SASTFPN`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import ConvBN, relu
from ocrexp.models.necks.east_fpn import DoublingConvBN

CHANNELS = 128  # of the result
_MAPS = 7  # the image, and strides 2 to 64
_UP = (256, 256, 192, 192, 128)  # channels at strides 64, 32, 16, 8, 4
_DOWN = (32, 64, 128)  # channels at strides 1, 2, 4


class SASTFPN(nn.Layer):
    """Sum of a pyramid from stride 64 up to 4 and one from the image down to 4, then attention along rows and columns.

    Args:
        in_channels: channels of the backbone's seven maps (the model fills this in).
        with_cab: whether there is attention. PaddleOCR's files have its parameters without it too.

    `forward(seven maps)` gives [N, 128, H/4, W/4].
    """

    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], with_cab: bool = True) -> None:
        super().__init__()
        if len(in_channels) != _MAPS:
            raise ValueError(
                f"SASTFPN joins {_MAPS} maps, from the image to stride 64, the backbone gives {len(in_channels)}; "
                "choose model/backbone=resnet50_vd_sast"
            )
        self.out_channels = CHANNELS
        self._with_cab = with_cab
        self.FPN_Down_Fusion = DownFusion(in_channels[:3])
        self.FPN_Up_Fusion = UpFusion(in_channels[:1:-1])
        self.cross_attention = RowColumnAttention(CHANNELS)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = relu(self.FPN_Down_Fusion(maps[:3]) + self.FPN_Up_Fusion(maps[:1:-1]))
        return self.cross_attention(x) if self._with_cab else x


class UpFusion(nn.Layer):
    """From stride 64 to 4: the map is doubled and added to the next one, four times."""

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        self._laterals = [
            self.add_sublayer(f"h{level}_conv", ConvBN(channels, width, 1, activate=False))
            for level, (channels, width) in enumerate(zip(in_channels, _UP, strict=True))
        ]
        self.g0_conv = DoublingConvBN(_UP[0], _UP[1], activate=False)
        self._mixers: list[nn.Layer] = [
            self.add_sublayer(
                f"g{level}_conv",
                nn.Sequential(
                    ConvBN(_UP[level], _UP[level], 3), DoublingConvBN(_UP[level], _UP[level + 1], activate=False)
                ),
            )
            for level in range(1, 4)
        ]
        last = nn.Sequential(ConvBN(_UP[4], _UP[4], 3), ConvBN(_UP[4], _UP[4], 1, activate=False))
        self._mixers.append(self.add_sublayer("g4_conv", last))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Of the maps at strides 64, 32, 16, 8, 4."""
        sides = [self._laterals[level](maps[level]) for level in range(len(_UP))]
        x = self.g0_conv(sides[0])
        x = x[:, :, : sides[1].shape[2], : sides[1].shape[3]]  # where stride 64 was rounded up
        for level in range(1, len(_UP)):
            x = self._mixers[level - 1](relu(x + sides[level]))
        return x


class DownFusion(nn.Layer):
    """From the image to stride 4: the map is halved and added to the next one, twice."""

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        self._laterals = [
            self.add_sublayer(f"h{level}_conv", ConvBN(channels, width, 3, activate=False))
            for level, (channels, width) in enumerate(zip(in_channels, _DOWN, strict=True))
        ]
        first, second, third = _DOWN
        self.g0_conv = ConvBN(first, second, 3, activate=False, stride=2)
        self.g1_conv = nn.Sequential(ConvBN(second, second, 3), ConvBN(second, third, 3, activate=False, stride=2))
        self.g2_conv = nn.Sequential(ConvBN(third, third, 3), ConvBN(third, third, 1, activate=False))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Of the maps at strides 1, 2, 4."""
        sides = [self._laterals[level](maps[level]) for level in range(len(_DOWN))]
        x = self.g1_conv(relu(self.g0_conv(sides[0]) + sides[1]))
        return self.g2_conv(relu(x + sides[2]))


class RowColumnAttention(nn.Layer):
    """Context attention block: each pixel attends to its row, and to its column, of [N, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._scale = channels**-0.5
        self.theta_conv = ConvBN(channels, channels, 1)
        self.phi_conv = ConvBN(channels, channels, 1)
        self.g_conv = ConvBN(channels, channels, 1)
        self.fh_weight_conv = ConvBN(channels, channels, 1, activate=False)
        self.fh_sc_conv = ConvBN(channels, channels, 1, activate=False)
        self.fv_weight_conv = ConvBN(channels, channels, 1, activate=False)
        self.fv_sc_conv = ConvBN(channels, channels, 1, activate=False)
        self.f_attn_conv = ConvBN(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        given = self.theta_conv(x), self.phi_conv(x), self.g_conv(x)
        rows = self._attended(*(maps.transpose([0, 2, 3, 1]) for maps in given)).transpose([0, 3, 1, 2])
        columns = self._attended(*(maps.transpose([0, 3, 2, 1]) for maps in given)).transpose([0, 3, 2, 1])
        along = relu(self.fh_weight_conv(rows) + self.fh_sc_conv(x))
        across = relu(self.fv_weight_conv(columns) + self.fv_sc_conv(x))
        return self.f_attn_conv(paddle.concat([along, across], axis=1))

    def _attended(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention within each line of [N, lines, places, C]."""
        weights = F.softmax(paddle.matmul(query, key, transpose_y=True) * self._scale, axis=-1)
        return paddle.matmul(weights, value)
