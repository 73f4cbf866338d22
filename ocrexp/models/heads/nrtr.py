"""NRTR's transformer (Sheng et al., arXiv 1806.00926) as a head of its own and as guide of PP-OCRv4's MultiHead.

Names and shapes of the parameters are those of PaddleOCR's `Transformer`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.attention import Mlp, attend
from ocrexp.models.heads.class_axes import ClassAxis

PADDING, START, END = 0, 2, 3
_POSITIONS = 5000


class CausalAttention(nn.Layer):
    """Self-attention in which a step sees itself and the steps before it (`causal`), or all."""

    def __init__(self, channels: int, num_heads: int, drop: float = 0.0) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, channels * 3)
        self.out_proj = nn.Linear(channels, channels)
        self.attn_drop = nn.Dropout(drop)
        self._heads = num_heads

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        qkv = self.qkv(x).reshape([0, -1, 3, self._heads, x.shape[2] // self._heads]).transpose([2, 0, 3, 1, 4])
        query, key, value = qkv.unbind(axis=0)
        return self.out_proj(attend(query, key, value, mask, self.attn_drop))


class CrossAttention(nn.Layer):
    """Attention from the characters to the image's sequence."""

    def __init__(self, channels: int, num_heads: int, drop: float = 0.0) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, channels * 2)
        self.out_proj = nn.Linear(channels, channels)
        self.attn_drop = nn.Dropout(drop)
        self._heads = num_heads

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        size = x.shape[2] // self._heads
        query = self.q(x).reshape([0, -1, self._heads, size]).transpose([0, 2, 1, 3])
        key, value = self.kv(memory).reshape([0, -1, 2, self._heads, size]).transpose([2, 0, 3, 1, 4]).unbind(axis=0)
        return self.out_proj(attend(query, key, value, mask, self.attn_drop))


class Layer(nn.Layer):
    """A layer of the encoder, or with `cross` of the decoder; norms after the shortcuts.

    `self_attention` false: the characters do not attend to each other; `attention_drop` is the dropout of
    the attentions' weights.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        hidden: int,
        drop: float,
        cross: bool,
        self_attention: bool = True,
        attention_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self._self_attention, self._cross = self_attention, cross
        if self_attention:
            self.self_attn = CausalAttention(channels, num_heads, attention_drop)
            self.norm1 = nn.LayerNorm(channels)
            self.dropout1 = nn.Dropout(drop)
        if cross:
            self.cross_attn = CrossAttention(channels, num_heads, attention_drop)
            self.norm2 = nn.LayerNorm(channels)
            self.dropout2 = nn.Dropout(drop)
        self.mlp = Mlp(channels, hidden, F.relu, drop)
        self.norm3 = nn.LayerNorm(channels)
        self.dropout3 = nn.Dropout(drop)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        if self._self_attention:
            x = self.norm1(x + self.dropout1(self.self_attn(x, mask)))
        if self._cross:
            x = self.norm2(x + self.dropout2(self.cross_attn(x, memory, memory_mask)))
        return self.norm3(x + self.dropout3(self.mlp(x)))


class PositionalEncoding(nn.Layer):
    """Adds sines and cosines of the position (Vaswani et al., arXiv 1706.03762) to [N, L, channels], then dropout."""

    def __init__(self, channels: int, drop: float, positions: int = _POSITIONS) -> None:
        super().__init__()
        position = np.arange(positions, dtype=np.float32)[:, None]
        angle = position * np.exp(np.arange(0, channels, 2, dtype=np.float32) * np.float32(-math.log(10000) / channels))
        table = np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(positions, 1, channels)
        self.register_buffer("pe", paddle.to_tensor(table.astype(np.float32)))
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x + self.pe[: x.shape[1]].transpose([1, 0, 2]))


class Embedding(nn.Layer):
    """Embeddings of the characters, times the root of their size; that of the class `padding` is 0."""

    def __init__(self, classes: int, channels: int, padding: int | None = PADDING) -> None:
        super().__init__()
        start = nn.initializer.Normal(0.0, channels**-0.5)
        self.embedding = nn.Embedding(
            classes, channels, padding_idx=padding, weight_attr=paddle.ParamAttr(initializer=start)
        )
        self._scale = math.sqrt(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) * self._scale


class NRTRHead(nn.Layer):
    """Transformer from a sequence to characters.

    Args:
        in_channels: channels of the sequence, and of all layers (the model fills this in).
        out_channels: charset with its four special tokens (padding, unknown, start, end; from the charset); the layers
            have one class more, as PaddleOCR's.
        nhead: heads of the attentions.
        num_encoder_layers: layers over the image's sequence; 0: none.
        num_decoder_layers: layers over the characters.
        dim_feedforward: hidden channels of the MLPs.
        residual_dropout_rate: dropout before the shortcuts, in the MLPs and of the embeddings.
        max_text_length: characters decoded at most.

    `forward(sequence [N, T, C], targets)` gives in training `{"nrtr": logits [N, L, out_channels + 1]}` for the
    steps after `<s>` of the labels `label_nrtr` up to the longest of the batch (L = longest `length` + 1); in
    evaluation `{"nrtr_ids": int64 [N, S], "nrtr_scores": float32 [N, S]}` of greedy decoding, beginning with `<s>` and
    filled with the padding after `</s>`. A static graph, which is made for an export, cannot stop early: there it is
    `{"nrtr": probabilities [N, max_text_length, out_channels + 1]}` of the same decoding, which go on after `</s>`.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "nrtr"
    output: ClassVar[str] = "nrtr"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 1024,
        residual_dropout_rate: float = 0.1,
        max_text_length: int = 25,
    ) -> None:
        super().__init__()
        if in_channels % nhead:
            raise ConfigError(f"nhead: expected a divisor of the {in_channels} channels of NRTRHead, got {nhead}")
        self.out_channels = out_channels + 1
        d_model = in_channels
        drop = residual_dropout_rate
        self.embedding = Embedding(self.out_channels, d_model)
        self.positional_encoding = PositionalEncoding(d_model, drop)
        self.encoder = None
        if num_encoder_layers > 0:
            self.encoder = nn.LayerList(
                [Layer(d_model, nhead, dim_feedforward, drop, cross=False) for _ in range(num_encoder_layers)]
            )
        self.decoder = nn.LayerList(
            [Layer(d_model, nhead, dim_feedforward, drop, cross=True) for _ in range(num_decoder_layers)]
        )
        start = nn.initializer.Normal(0.0, d_model**-0.5)
        self.tgt_word_prj = nn.Linear(d_model, self.out_channels, weight_attr=start, bias_attr=False)
        self._characters = max_text_length

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        memory = self._encode(x)
        if not self.training:
            if not paddle.in_dynamic_mode():
                return {"nrtr": self._generate_all(memory)}
            ids, scores = self._generate(memory)
            return {"nrtr_ids": ids, "nrtr_scores": scores}
        if targets is None:
            raise ValueError("NRTRHead needs targets in training")
        steps = int(targets["length"].max()) + 1
        return {"nrtr": self.tgt_word_prj(self._decode(targets["label_nrtr"][:, :steps], memory))}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {"embedding.embedding.weight": ClassAxis("nrtr", 0), "tgt_word_prj.weight": ClassAxis("nrtr", 1)}

    def _encode(self, x: Tensor) -> Tensor:
        if self.encoder is not None:
            x = self.positional_encoding(x)
            for layer in self.encoder:
                x = layer(x)
        return x

    def _decode(self, tokens: Tensor, memory: Tensor) -> Tensor:
        x = self.positional_encoding(self.embedding(tokens))
        mask = paddle.triu(paddle.full([tokens.shape[1]] * 2, -np.inf), diagonal=1)
        for layer in self.decoder:
            x = layer(x, memory, mask)
        return x

    def _generate(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Greedy: the likeliest character at each step, until every row has ended."""
        count = memory.shape[0]
        ids = paddle.full([count, 1], START, dtype="int64")
        scores = paddle.ones([count, 1])
        ended = paddle.zeros([count], dtype="bool")
        for _ in range(self._characters):
            probabilities = F.softmax(self.tgt_word_prj(self._decode(ids, memory)[:, -1]), axis=1)
            best = paddle.where(ended, paddle.full([count], PADDING, dtype="int64"), probabilities.argmax(axis=1))
            ids = paddle.concat([ids, best.unsqueeze(1)], axis=1)
            scores = paddle.concat([scores, probabilities.max(axis=1, keepdim=True)], axis=1)
            ended = ended | (best == END)
            if bool(ended.all()):
                break
        return ids, scores

    def _generate_all(self, memory: Tensor) -> Tensor:
        """Probabilities [N, max_text_length, classes] of greedy decoding that does not look whether it may stop."""
        ids = paddle.full([memory.shape[0], 1], START, dtype="int64")
        steps = []
        for _ in range(self._characters):
            steps.append(F.softmax(self.tgt_word_prj(self._decode(ids, memory)[:, -1]), axis=1))
            ids = paddle.concat([ids, steps[-1].argmax(axis=1, keepdim=True)], axis=1)
        return paddle.stack(steps, axis=1)
