"""SATRN's head (Lee et al., arXiv 1910.04396): a transformer over the two-dimensional map, whose MLPs are convolutions,
and one over the characters.

Names and shapes of the parameters are those of PaddleOCR's `SATRNHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.attention import attend
from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.layers import ConvBN, gelu

_DECODED_POSITIONS = 200


class SATRNAttention(nn.Layer):
    """Attention without biases."""

    def __init__(self, channels: int, heads: int, drop: float) -> None:
        super().__init__()
        self.linear_q = nn.Linear(channels, channels, bias_attr=False)
        self.linear_k = nn.Linear(channels, channels, bias_attr=False)
        self.linear_v = nn.Linear(channels, channels, bias_attr=False)
        self.fc = nn.Linear(channels, channels, bias_attr=False)
        self.attn_drop = nn.Dropout(drop)
        self.proj_drop = nn.Dropout(drop)
        self._heads = heads

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k = self._split(self.linear_q(query)), self._split(self.linear_k(memory))
        v = self._split(self.linear_v(memory))
        return self.proj_drop(self.fc(attend(q, k, v, mask, self.attn_drop)))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape([0, -1, self._heads, x.shape[2] // self._heads]).transpose([0, 2, 1, 3])


class LocalityAwareFeedforward(nn.Layer):
    """1×1, depthwise 3×3 and 1×1 convolution over the map."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(channels, hidden, 1)
        self.depthwise_conv = ConvBN(hidden, hidden, 3, groups=hidden)
        self.conv2 = ConvBN(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.depthwise_conv(self.conv1(x)))


class MapEncoderLayer(nn.Layer):
    """Attention over all positions of the map, then the convolutions; norms before."""

    def __init__(self, channels: int, heads: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = SATRNAttention(channels, heads, drop)
        self.norm2 = nn.LayerNorm(channels)
        self.feed_forward = LocalityAwareFeedforward(channels, hidden)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn(normed, normed)
        image = self.norm2(x).transpose([0, 2, 1]).reshape([0, x.shape[2], height, width])
        return x + self.feed_forward(image).flatten(2).transpose([0, 2, 1])


class Adaptive2DPositionalEncoding(nn.Layer):
    """Adds sines and cosines of row and column, each scaled by what the whole map shows."""

    def __init__(self, channels: int, positions: int, drop: float) -> None:
        super().__init__()
        table = _sinusoids(positions, channels).T
        self.register_buffer("h_position_encoder", paddle.to_tensor(table.reshape(1, channels, positions, 1)))
        self.register_buffer("w_position_encoder", paddle.to_tensor(table.reshape(1, channels, 1, positions)))
        self.h_scale, self.w_scale = _scale(channels), _scale(channels)
        self.dropout = nn.Dropout(drop)
        self._positions = positions

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if paddle.in_dynamic_mode() and max(height, width) > self._positions:
            raise ConfigError(
                f"SATRNHead: the backbone gives a map of {height}x{width}, the head has {self._positions} positions in "
                f"each direction; set model.head.n_position={max(height, width)}"
            )
        whole = F.adaptive_avg_pool2d(x, 1)
        rows = self.h_scale(whole) * self.h_position_encoder[:, :, :height]
        columns = self.w_scale(whole) * self.w_position_encoder[:, :, :, :width]
        return self.dropout(x + rows + columns)


def _scale(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2D(channels, channels, 1), nn.ReLU(), nn.Conv2D(channels, channels, 1), nn.Sigmoid())


def _sinusoids(positions: int, channels: int) -> npt.NDArray[np.float32]:
    """[positions, channels]: sines in the even columns, cosines in the odd ones, of falling frequency."""
    frequency = np.power(10000.0, -2 * (np.arange(channels) // 2) / channels).astype(np.float32)
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequency
    return np.where(np.arange(channels) % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


class SATRNEncoder(nn.Layer):
    """Map [N, C, H, W] to the sequence [N, H · W, C]."""

    def __init__(self, channels: int, layers: int, heads: int, hidden: int, positions: int, drop: float) -> None:
        super().__init__()
        self.position_enc = Adaptive2DPositionalEncoding(channels, positions, drop)
        self.layer_stack = nn.LayerList([MapEncoderLayer(channels, heads, hidden, drop) for _ in range(layers)])
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = self.position_enc(x).flatten(2).transpose([0, 2, 1])
        for layer in self.layer_stack:
            x = layer(x, height, width)
        return self.layer_norm(x)


class PositionwiseFeedForward(nn.Layer):
    """Two linear layers with GELU between and dropout after."""

    def __init__(self, channels: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.w_1 = nn.Linear(channels, hidden)
        self.w_2 = nn.Linear(hidden, channels)
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.w_2(gelu(self.w_1(x))))


class SATRNDecoderLayer(nn.Layer):
    """Attention to the characters before, attention to the map, MLP; norms before."""

    def __init__(self, channels: int, heads: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.self_attn = SATRNAttention(channels, heads, drop)
        self.enc_attn = SATRNAttention(channels, heads, drop)
        self.mlp = PositionwiseFeedForward(channels, hidden, drop)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.self_attn(normed, normed, mask)
        x = x + self.enc_attn(self.norm2(x), memory)
        return x + self.mlp(self.norm3(x))


class Positions(nn.Layer):
    """Adds sines and cosines of the position to [N, L, channels]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("position_table", paddle.to_tensor(_sinusoids(_DECODED_POSITIONS, channels)[None]))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.position_table[:, : x.shape[1]]


class SATRNDecoder(nn.Layer):
    """Writes the characters; see SATRNHead."""

    def __init__(self, channels: int, layers: int, heads: int, hidden: int, drop: float, classes: int) -> None:
        super().__init__()
        self.trg_word_emb = nn.Embedding(classes, channels, padding_idx=classes - 1)
        self.position_enc = Positions(channels)
        self.dropout = nn.Dropout(drop)
        self.layer_stack = nn.LayerList([SATRNDecoderLayer(channels, heads, hidden, drop) for _ in range(layers)])
        self.layer_norm = nn.LayerNorm(channels, epsilon=1e-6)
        self.classifier = nn.Linear(channels, classes - 1)

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """Logits [N, L, classes - 1] of what follows each of the tokens [N, L]."""
        x = self.dropout(self.position_enc(self.trg_word_emb(tokens)))
        # Padding stands behind the characters alone, so that no step that counts sees it.
        mask = paddle.triu(paddle.full([tokens.shape[1]] * 2, -np.inf), diagonal=1)
        for layer in self.layer_stack:
            x = layer(x, memory, mask)
        return self.classifier(self.layer_norm(x))


class SATRNHead(nn.Layer):
    """SATRN's encoder and decoder.

    Args:
        in_channels: channels of the map, and of all layers (the model fills this in).
        out_channels: charset with its three special tokens (unknown, begin/end, padding; from the charset).
        max_text_length: characters at most.
        enc_layers, enc_heads, enc_inner: layers of the encoder, heads of its attentions, hidden channels of its
            convolutions.
        dec_layers, dec_heads, dec_inner: the same of the decoder, whose MLPs are linear.
        n_position: most rows and columns of the map.
        dropout: everywhere.

    `forward(map [N, C, H, W], targets)` gives in training `{"satrn": logits [N, L - 1, out_channels - 1]}` of what
    follows `<BOS/EOS>` in the labels `label_satrn` [N, L]; in evaluation probabilities [N, max_text_length + 1,
    out_channels - 1] of greedy decoding. Padding of images is attended to: PaddleOCR's recipe stretches them.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "satrn"
    output: ClassVar[str] = "satrn"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        max_text_length: int = 25,
        enc_layers: int = 6,
        enc_heads: int = 8,
        enc_inner: int = 1024,
        dec_layers: int = 6,
        dec_heads: int = 8,
        dec_inner: int = 1024,
        n_position: int = 100,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        for name, heads in (("enc_heads", enc_heads), ("dec_heads", dec_heads)):
            if in_channels % heads:
                raise ConfigError(f"{name}: expected a divisor of the {in_channels} channels of SATRNHead, got {heads}")
        if max_text_length + 1 > _DECODED_POSITIONS:
            raise ValueError(f"max_text_length: expected below {_DECODED_POSITIONS}, got {max_text_length}")
        self.encoder = SATRNEncoder(in_channels, enc_layers, enc_heads, enc_inner, n_position, dropout)
        self.decoder = SATRNDecoder(in_channels, dec_layers, dec_heads, dec_inner, dropout, out_channels)
        self._start, self._steps = out_channels - 2, max_text_length + 1
        self.out_channels = out_channels

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        memory = self.encoder(x)
        if not self.training:
            return {"satrn": self._generate(memory)}
        if targets is None:
            raise ValueError("SATRNHead needs targets in training")
        return {"satrn": self.decoder(targets["label_satrn"][:, :-1], memory)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {
            "decoder.trg_word_emb.weight": ClassAxis("satrn", 0),
            "decoder.classifier.weight": ClassAxis("satrn", 1),
            "decoder.classifier.bias": ClassAxis("satrn", 0),
        }

    def _generate(self, memory: Tensor) -> Tensor:
        """Probabilities [N, steps, classes - 1]: the likeliest character at each step."""
        tokens = paddle.full([memory.shape[0], 1], self._start, dtype="int64")
        steps = []
        for step in range(self._steps):
            steps.append(F.softmax(self.decoder(tokens, memory)[:, -1], axis=-1))
            if step + 1 < self._steps:
                tokens = paddle.concat([tokens, steps[-1].argmax(axis=-1, keepdim=True)], axis=1)
        return paddle.stack(steps, axis=1)
