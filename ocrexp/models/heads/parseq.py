"""PARSeq's decoder (Bautista and Atienza, arXiv 2207.06966): one transformer layer trained on permuted orders, so that
it decodes character by character and refines what it has read from both sides.

Names and shapes of the parameters are those of PaddleOCR's `ParseQHead`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.layers import gelu, initialize_transformer

END = 0  # the class `[E]`; begin and padding are the last two, which are never predicted

Permutations = npt.NDArray[np.int64]


class ParseQDecoderLayer(nn.Layer):
    """Two-stream attention: queries of positions read the content; norms before."""

    def __init__(self, channels: int, num_heads: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiHeadAttention(channels, num_heads, dropout=drop)
        self.cross_attn = nn.MultiHeadAttention(channels, num_heads, dropout=drop)
        self.linear1 = nn.Linear(channels, hidden)
        self.dropout = nn.Dropout(drop)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm_q = nn.LayerNorm(channels)
        self.norm_c = nn.LayerNorm(channels)
        self.dropout1 = nn.Dropout(drop)
        self.dropout2 = nn.Dropout(drop)
        self.dropout3 = nn.Dropout(drop)

    def forward(
        self, query: Tensor, content: Tensor, memory: Tensor, query_mask: Tensor, content_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """New query and content streams; without a content mask the content stays as it is (last layer)."""
        keys = self.norm_c(content)
        query = self._stream(query, self.norm_q(query), keys, memory, query_mask)
        if content_mask is not None:
            content = self._stream(content, keys, keys, memory, content_mask)
        return query, content

    def _stream(self, x: Tensor, normed: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        x = x + self.dropout1(self.self_attn(normed, keys, keys, attn_mask=mask))
        x = x + self.dropout2(self.cross_attn(self.norm1(x), memory, memory))
        return x + self.dropout3(self.linear2(self.dropout(gelu(self.linear1(self.norm2(x))))))


class ParseQDecoder(nn.Layer):
    """Layers and a last norm."""

    def __init__(self, channels: int, num_heads: int, hidden: int, drop: float, depth: int) -> None:
        super().__init__()
        self.layers = nn.LayerList([ParseQDecoderLayer(channels, num_heads, hidden, drop) for _ in range(depth)])
        self.norm = nn.LayerNorm(channels)

    def forward(
        self, query: Tensor, content: Tensor, memory: Tensor, query_mask: Tensor, content_mask: Tensor
    ) -> Tensor:
        for index, layer in enumerate(self.layers):
            last = index == len(self.layers) - 1
            query, content = layer(query, content, memory, query_mask, None if last else content_mask)
        return self.norm(query)


class TokenEmbedding(nn.Layer):
    """Embeddings of the characters times the root of their size."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            classes, channels, weight_attr=paddle.ParamAttr(initializer=nn.initializer.TruncatedNormal(std=0.02))
        )
        self._scale = math.sqrt(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        return self._scale * self.embedding(tokens)


class ParseQHead(nn.Layer):
    """PARSeq's decoder.

    Args:
        in_channels: channels of the encoder's sequence, and of the decoder (the model fills this in).
        out_channels: charset with end, begin and padding (from the charset).
        max_text_length: characters at most.
        dec_num_heads: heads of the decoder's attentions.
        dec_mlp_ratio: hidden channels of its MLP over channels.
        dec_depth: its layers.
        perm_num: orders learned at each step.
        perm_forward: left to right is always one of them.
        perm_mirrored: each order comes with its reverse.
        dropout: everywhere in the decoder.
        decode_ar: decode character by character; false: all at once.
        refine_iters: passes over the whole afterwards.

    `forward(sequence [N, T, C], targets)` gives in training `{"parseq": [orders, N, L, out_channels - 2]}` logits for
    the steps after `[B]` of the labels `label_parseq` up to the longest of the batch (L = longest `length` + 1); in
    evaluation `{"parseq": [N, max_text_length + 1, out_channels - 2]}` probabilities. The orders are drawn from
    paddle's generator.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "parseq"
    output: ClassVar[str] = "parseq"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        max_text_length: int = 25,
        dec_num_heads: int = 12,
        dec_mlp_ratio: float = 4,
        dec_depth: int = 1,
        perm_num: int = 6,
        perm_forward: bool = True,
        perm_mirrored: bool = True,
        dropout: float = 0.1,
        decode_ar: bool = True,
        refine_iters: int = 1,
    ) -> None:
        super().__init__()
        if perm_num < 1 or (perm_mirrored and perm_num % 2):
            raise ValueError(
                f"perm_num: expected an even number with perm_mirrored, otherwise 1 or more, got {perm_num}"
            )
        self._begin, self._padding = out_channels - 2, out_channels - 1
        self._length = max_text_length
        self._perm_num, self._perm_forward, self._perm_mirrored = perm_num, perm_forward, perm_mirrored
        self._autoregressive, self._refinements = decode_ar, refine_iters
        self.decoder = ParseQDecoder(in_channels, dec_num_heads, int(in_channels * dec_mlp_ratio), dropout, dec_depth)
        self.head = nn.Linear(in_channels, out_channels - 2)
        self.text_embed = TokenEmbedding(out_channels, in_channels)
        self.pos_queries = self.create_parameter(
            [1, max_text_length + 1, in_channels], default_initializer=nn.initializer.TruncatedNormal(std=0.02)
        )
        self.dropout = nn.Dropout(dropout)
        self.out_channels = out_channels
        initialize_transformer(self)

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if not self.training:
            return {"parseq": F.softmax(self.generate(x), axis=-1)}
        if targets is None:
            raise ValueError("ParseQHead needs targets in training")
        length = int(targets["length"].max())
        label = targets["label_parseq"][:, : length + 1]
        hidden = (label == self._padding) | (label == END)
        logits = []
        for permutation in self.permutations(length):
            content_mask, query_mask = _permuted_masks(permutation)
            logits.append(self._decode(label, x, query_mask, content_mask, hidden))
        return {"parseq": paddle.stack(logits)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {
            "head.weight": ClassAxis("parseq", 1),
            "head.bias": ClassAxis("parseq", 0),
            "text_embed.embedding.weight": ClassAxis("parseq", 0),
        }

    def generate(self, memory: Tensor) -> Tensor:
        """Logits [N, max_text_length + 1, classes]: decoded in order, then refined."""
        count, steps = memory.shape[0], self._length + 1
        causal = _mask(np.tri(steps, dtype=bool))
        begin = paddle.full([count, 1], self._begin, dtype="int64")
        if self._autoregressive:
            tokens, parts = begin, []
            for step in range(steps):
                seen = causal[: step + 1, : step + 1]
                parts.append(self._decode(tokens, memory, seen[step:], seen, first=step))
                tokens = paddle.concat([tokens, parts[-1].argmax(axis=-1)], axis=1)
                # Only refinement reads on after the end, and it hides what follows it. A graph that is being exported
                # decodes all steps.
                if paddle.in_dynamic_mode() and bool((tokens == END).any(axis=1).all()) and step + 1 < steps:
                    parts.append(paddle.zeros([count, steps - step - 1, parts[-1].shape[2]]))
                    break
            logits = paddle.concat(parts, axis=1)
        else:
            alone = _mask(np.ones((steps, 1), dtype=bool))
            logits = self._decode(begin, memory, alone, alone[:1], count=steps)
        # Each position now reads all others, before and after it: all but the one that holds itself, one further on
        # as the content begins with `[B]`.
        others = _mask(~np.eye(steps, k=1, dtype=bool))
        for _ in range(self._refinements):
            tokens = paddle.concat([begin, logits[:, :-1].argmax(axis=-1)], axis=1)
            hidden = (tokens == END).astype("int32").cumsum(axis=1) > 0
            logits = self._decode(tokens, memory, others, causal, hidden)
        return logits

    def _decode(
        self,
        tokens: Tensor,
        memory: Tensor,
        query_mask: Tensor,
        content_mask: Tensor,
        hidden: Tensor | None = None,
        first: int = 0,
        count: int | None = None,
    ) -> Tensor:
        """Logits of positions `first` on, from tokens [N, L] that begin with `[B]`; masks are true where seen."""
        length = tokens.shape[1]
        content = self.text_embed(tokens)
        if length > 1:
            content = paddle.concat([content[:, :1], content[:, 1:] + self.pos_queries[:, : length - 1]], axis=1)
        positions = self.pos_queries[:, first : count or length].expand([tokens.shape[0], -1, -1])
        query_mask, content_mask = query_mask.unsqueeze([0, 1]), content_mask.unsqueeze([0, 1])
        if hidden is not None:
            seen = ~hidden.unsqueeze([1, 2])
            query_mask, content_mask = query_mask & seen, content_mask & seen
        query = self.decoder(self.dropout(positions), self.dropout(content), memory, query_mask, content_mask)
        return self.head(query)

    def permutations(self, length: int) -> Permutations:
        """Orders [n, length + 2] of the positions of `[B]`, the characters and `[E]`; `[B]` stays first, `[E]` last,
        but the second order is the exact reverse of the first, `[E]` before the characters."""
        if length == 1:
            return np.arange(3)[None]
        wanted = self._perm_num // 2 if self._perm_mirrored else self._perm_num
        wanted = min(wanted, math.factorial(length) // (2 if self._perm_mirrored else 1))
        forward = np.arange(length)
        orders = [forward] if self._perm_forward else []
        if length < 5:
            orders += self._draw_few(length, wanted - len(orders))
        else:
            orders += [paddle.randperm(length).numpy() for _ in range(wanted - len(orders))]
        chosen = np.stack(orders)
        if self._perm_mirrored:
            chosen = np.stack([chosen, chosen[:, ::-1]], axis=1).reshape(-1, length)
        ends = np.zeros((len(chosen), 1), dtype=np.int64)
        full = np.concatenate([ends, chosen + 1, ends + length + 1], axis=1)
        if len(full) > 1:
            full[1, 1:] = length + 1 - np.arange(length + 1)
        return full

    def _draw_few(self, length: int, wanted: int) -> list[Permutations]:
        """Different orders of a short text; if each comes with its reverse, no two that are each other's reverse."""
        pool = [
            order
            for order in itertools.permutations(range(length))
            if not (self._perm_mirrored and order > order[::-1])
            and not (self._perm_forward and order == tuple(range(length)))
        ]
        picks = paddle.randperm(len(pool)).numpy()[:wanted] if pool else []
        return [np.array(pool[pick]) for pick in picks]


def _mask(seen: npt.NDArray[np.bool_]) -> Tensor:
    """A mask by way of whole numbers: paddle2onnx takes no constants of bool."""
    return paddle.to_tensor(seen.astype(np.int32)).astype("bool")


def _permuted_masks(permutation: Permutations) -> tuple[Tensor, Tensor]:
    """Content mask and query mask [L, L], true where seen, for an order of L + 1 positions.

    A position sees those before it in the order; the content itself too. The last position (`[E]` or what the order
    puts there) is not a content token, `[B]` is not a query.
    """
    rank = np.empty(len(permutation), dtype=np.int64)
    rank[permutation] = np.arange(len(permutation))
    before = rank[None, :] < rank[:, None]
    content = before | np.eye(len(permutation), dtype=bool)
    return paddle.to_tensor(content[:-1, :-1]), paddle.to_tensor(before[1:, :-1])
