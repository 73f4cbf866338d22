"""PREN's neck (Yan et al., CVPR 2021): some primitive representations of the image, then one for each character.

Names and shapes of the parameters are those of PaddleOCR's `PRENFPN`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D


def _conv_bn(in_channels: int, channels: int, kernel: int, stride: int, number: int) -> list[tuple[str, nn.Layer]]:
    conv = Conv2D(in_channels, channels, kernel, stride=stride, padding=kernel // 2, bias_attr=False)
    return [(f"conv{number}", conv), (f"bn{number}", nn.BatchNorm2D(channels))]


class PooledAggregators(nn.Layer):
    """Map [N, C, H, W] to [N, representations, channels]: for each two convolutions and the mean of the map."""

    def __init__(self, representations: int, in_channels: int, channels: int) -> None:
        super().__init__()
        self._branches = [
            self.add_sublayer(
                str(index),
                nn.Sequential(
                    *_conv_bn(in_channels, in_channels, 3, 2, 1),
                    ("act", nn.Swish()),
                    *_conv_bn(in_channels, channels, 3, 2, 2),
                ),
            )
            for index in range(representations)
        ]

    def forward(self, x: Tensor) -> Tensor:
        return paddle.stack([branch(x).mean(axis=[2, 3]) for branch in self._branches], axis=1)


class WeightedAggregators(nn.Layer):
    """Map [N, C, H, W] to [N, representations, channels]: for each a weight of each position."""

    def __init__(self, representations: int, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_n = nn.Sequential(
            *_conv_bn(in_channels, in_channels, 3, 1, 1),
            ("act1", nn.Swish()),
            *_conv_bn(in_channels, representations, 1, 1, 2),
            ("act2", nn.Sigmoid()),
        )
        self.conv_d = nn.Sequential(
            *_conv_bn(in_channels, 4 * in_channels, 3, 1, 1),
            ("act1", nn.Swish()),
            *_conv_bn(4 * in_channels, channels, 1, 1, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return paddle.matmul(self.conv_n(x).flatten(2), self.conv_d(x).flatten(2), transpose_y=True)


class GraphConvolution(nn.Layer):
    """[N, representations, channels] to [N, characters, channels]."""

    def __init__(self, channels: int, representations: int, characters: int, drop: float) -> None:
        super().__init__()
        self.conv_n = nn.Conv1D(representations, characters, 1)
        self.linear = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = paddle.matmul(self.conv_n.weight.squeeze(2), x) + self.conv_n.bias.unsqueeze(1)
        return F.swish(self.dropout(self.linear(x)))


class PRENFPN(nn.Layer):
    """PREN's neck.

    Args:
        in_channels: of three maps (the model fills this in).
        n_r: number of primitive representations.
        d_model: channels of the result, a multiple of 3.
        max_len: characters, and steps.
        dropout: of the representations.

    `forward([map, map, map])` gives [N, max_len, d_model].
    """

    def __init__(
        self, in_channels: Sequence[int], n_r: int = 5, d_model: int = 384, max_len: int = 25, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if isinstance(in_channels, int) or len(in_channels) != 3:
            raise ValueError(f"PRENFPN expects three maps, got {in_channels}; choose the backbone efficientnet_b3")
        if d_model % 3:
            raise ValueError(f"d_model must be a multiple of 3, got {d_model}")
        part = d_model // 3
        self.agg_p1, self.agg_p2, self.agg_p3 = (PooledAggregators(n_r, each, part) for each in in_channels)
        self.agg_w1, self.agg_w2, self.agg_w3 = (WeightedAggregators(n_r, each, part) for each in in_channels)
        self.gcn_pool = GraphConvolution(d_model, n_r, max_len, dropout)
        self.gcn_weight = GraphConvolution(d_model, n_r, max_len, dropout)
        self.out_channels = d_model

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        first, second, third = maps
        pooled = [self.agg_p1(first), self.agg_p2(second), self.agg_p3(third)]
        weighted = [self.agg_w1(first), self.agg_w2(second), self.agg_w3(third)]
        return 0.5 * (self.gcn_pool(paddle.concat(pooled, axis=2)) + self.gcn_weight(paddle.concat(weighted, axis=2)))
