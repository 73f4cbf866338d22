"""VisionLAN's transformer encoder: attention and an MLP, each with a norm behind its shortcut, and a last norm.

Names and shapes of the parameters are those of PaddleOCR's `rec_visionlan_head`.
"""

from __future__ import annotations

import math

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.attention import attend

HEADS, HIDDEN = 8, 2048


class PostNormAttention(nn.Layer):
    """Self-attention with its shortcut and norm over [N, L, channels]."""

    def __init__(self, channels: int, drop: float) -> None:
        super().__init__()
        size = channels // HEADS
        start = nn.initializer.Normal(0.0, math.sqrt(2 / (channels + size)))
        self.w_qs = nn.Linear(channels, channels, weight_attr=start)
        self.w_ks = nn.Linear(channels, channels, weight_attr=start)
        self.w_vs = nn.Linear(channels, channels, weight_attr=start)
        self.layer_norm = nn.LayerNorm(channels)
        self.fc = nn.Linear(channels, channels, weight_attr=nn.initializer.XavierNormal())
        self.attention_dropout = nn.Dropout(drop)
        self.dropout = nn.Dropout(drop)
        self._size = size

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).reshape([0, -1, HEADS, self._size]).transpose([0, 2, 1, 3])
            for layer in (self.w_qs, self.w_ks, self.w_vs)
        )
        mixed = attend(query, key, value, None, self.attention_dropout)
        return self.layer_norm(x + self.dropout(self.fc(mixed)))


class PostNormMlp(nn.Layer):
    """Two linear layers, whose weights have the shape of convolutions, with their shortcut and norm."""

    def __init__(self, channels: int, drop: float) -> None:
        super().__init__()
        self.w_1 = nn.Conv1D(channels, HIDDEN, 1)
        self.w_2 = nn.Conv1D(HIDDEN, channels, 1)
        self.layer_norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer_norm(x + self.dropout(_linear(self.w_2, F.relu(_linear(self.w_1, x)))))


def _linear(layer: nn.Conv1D, x: Tensor) -> Tensor:
    """A convolution over one step of [N, L, channels], as a matrix product."""
    return paddle.matmul(x, layer.weight.squeeze(2), transpose_y=True) + layer.bias


class PostNormLayer(nn.Layer):
    """Attention, then the MLP."""

    def __init__(self, channels: int, drop: float) -> None:
        super().__init__()
        self.slf_attn = PostNormAttention(channels, drop)
        self.pos_ffn = PostNormMlp(channels, drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.pos_ffn(self.slf_attn(x))


class PositionTable(nn.Layer):
    """Adds sines and cosines of the position (Vaswani et al., arXiv 1706.03762) to [N, positions, channels]."""

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        angle = np.arange(positions)[:, None] / 10000 ** (2 * (np.arange(channels) // 2) / channels)
        angle[:, 0::2], angle[:, 1::2] = np.sin(angle[:, 0::2]), np.cos(angle[:, 1::2])
        self.register_buffer("pos_table", paddle.to_tensor(angle[None].astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pos_table


class VisionLANEncoder(nn.Layer):
    """Positions, `layers` layers, a norm.

    Args:
        channels: of the sequence, a multiple of 8.
        positions: its length.
        layers: number of layers.
        drop: dropout before shortcuts, of the attention's weights and behind the positions.

    `forward(sequence [N, positions, channels])` gives the same shape.
    """

    def __init__(self, channels: int, positions: int, layers: int, drop: float = 0.1) -> None:
        super().__init__()
        self.position_enc = PositionTable(channels, positions)
        self.dropout = nn.Dropout(drop)
        self.layer_stack = nn.LayerList([PostNormLayer(channels, drop) for _ in range(layers)])
        self.layer_norm = nn.LayerNorm(channels, epsilon=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.position_enc(x))
        for layer in self.layer_stack:
            x = layer(x)
        return self.layer_norm(x)
