"""CPPD's head (Du et al., arXiv 2307.12270): which characters a text has, which positions it has, then all characters
at once.
Names and shapes of the parameters are those of PaddleOCR's `CPPDHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.attention import Mlp
from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.heads.nrtr import Embedding
from ocrexp.models.layers import DropPath, initialize_transformer

_HEAD_CHANNELS = 32
_EPSILON = 1e-6
_SAMPLED = 37  # characters that are counted where the charset is large, as in PaddleOCR


class CrossMixer(nn.Layer):
    """Attention of queries [N, Q, C] to keys [N, K, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, channels * 2)
        self.proj = nn.Linear(channels, channels)
        self._scale = _HEAD_CHANNELS**-0.5

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        key, value = self.kv(keys).chunk(2, axis=2)
        scores = paddle.matmul(_split(self.q(query)) * self._scale, _split(key), transpose_y=True)
        return self.proj(_joined(paddle.matmul(F.softmax(scores, axis=-1), _split(value))))


class NodeLayer(nn.Layer):
    """Attention to the image's positions and an MLP, norms after the shortcuts."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, epsilon=_EPSILON)
        self.normkv = nn.LayerNorm(channels, epsilon=_EPSILON)  # PaddleOCR's files hold it; it is not used
        self.mixer = CrossMixer(channels)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels, epsilon=_EPSILON)
        self.mlp = Mlp(channels, channels * 4)

    def forward(self, nodes: Tensor, keys: Tensor) -> Tensor:
        x = self.norm1(nodes + self.drop_path(self.mixer(nodes, keys)))
        return self.norm2(x + self.drop_path(self.mlp(x)))


class EdgeLayer(nn.Layer):
    """Joins positions with characters: attention without a scale, and an MLP."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path1 = DropPath(drop_path)
        self.norm1 = nn.LayerNorm(channels, epsilon=_EPSILON)
        self.norm2 = nn.LayerNorm(channels, epsilon=_EPSILON)
        self.p = nn.Linear(channels, channels)
        self.cv = nn.Linear(channels, channels)
        self.pv = nn.Linear(channels, channels)
        self.p_proj = nn.Linear(channels, channels)
        self.mlp = Mlp(channels, channels * 4)

    def forward(self, positions: Tensor, features: Tensor) -> Tensor:
        scores = paddle.matmul(_split(self.p(positions)), _split(self.pv(features)), transpose_y=True)
        joined = _joined(paddle.matmul(F.softmax(scores, axis=-1), _split(self.cv(features))))
        x = self.norm1(positions + self.drop_path1(self.p_proj(joined)))
        return self.norm2(x + self.drop_path1(self.mlp(x)))


def _split(x: Tensor) -> Tensor:
    """[N, L, C] to [N, heads, L, C / heads]."""
    return x.reshape([0, -1, x.shape[2] // _HEAD_CHANNELS, _HEAD_CHANNELS]).transpose([0, 2, 1, 3])


def _joined(x: Tensor) -> Tensor:
    return x.transpose([0, 2, 1, 3]).flatten(2)


class CPPDHead(nn.Layer):
    """CPPD's decoder.

    Args:
        in_channels: channels of the sequence, and of all layers (the model fills this in); a multiple of 32.
        out_channels: charset with the end, class 0 (from the charset).
        max_text_length: characters at most.
        num_layer: layers of the decoders of characters and of positions.
        drop_path_rate: stochastic depth of the last layer, growing linearly from 0.
        vis_seq: length of the sequence.
        ch: count 37 characters of each text, all of its own and others at random, in place of all characters: for large
            charsets.

    `forward(sequence [N, vis_seq, C], targets)` gives in training `cppd` (logits [N, L, out_channels] with L =
    max_text_length + 1), `cppd_counts` (logits [N, K, max_text_length] of how often a character occurs),
    `cppd_positions` (logits [N, L]: whether the text has this position) and `cppd_nodes` (int64 [N, K]: the classes
    that are counted); in evaluation `cppd` (probabilities) alone. With `ch` training needs the labels `label_cppd`
    [N, L]; the other characters are drawn from paddle's generator.
    """

    token_kind: ClassVar[str] = "cppd"
    output: ClassVar[str] = "cppd"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        max_text_length: int = 25,
        num_layer: int = 2,
        drop_path_rate: float = 0.1,
        vis_seq: int = 50,
        ch: bool = False,
    ) -> None:
        super().__init__()
        if in_channels % _HEAD_CHANNELS:
            raise ConfigError(f"CPPDHead: expected a backbone with a multiple of 32 channels, got {in_channels}")
        self.needs_targets = ch
        self._length = max_text_length + 1
        self._sampled = min(max(_SAMPLED, self._length), out_channels)
        self.char_node_embed = Embedding(out_channels, in_channels, padding=None)
        self.pos_node_embed = Embedding(self._length, in_channels, padding=None)
        drops = np.linspace(0, drop_path_rate, num_layer + 1).tolist()
        self.char_node_decoder = nn.LayerList([NodeLayer(in_channels, drop) for drop in drops[:-1]])
        self.pos_node_decoder = nn.LayerList([NodeLayer(in_channels, drop) for drop in drops[:-1]])
        self.edge_decoder = EdgeLayer(in_channels, drops[-1])
        draw = nn.initializer.TruncatedNormal(std=0.02)
        self.char_pos_embed = self.create_parameter([1, self._length, in_channels], default_initializer=draw)
        self.vis_pos_embed = self.create_parameter([1, vis_seq, in_channels], default_initializer=draw)
        self.char_node_fc1 = nn.Linear(in_channels, max_text_length)
        self.pos_node_fc1 = nn.Linear(in_channels, self._length)
        self.edge_fc = nn.Linear(in_channels, out_channels)
        self.out_channels = out_channels
        initialize_transformer(self)

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if paddle.in_dynamic_mode() and x.shape[1] != self.vis_pos_embed.shape[1]:
            raise ConfigError(
                f"CPPDHead: the backbone gives {x.shape[1]} positions, the head has {self.vis_pos_embed.shape[1]}; set "
                f"model.head.vis_seq={x.shape[1]}"
            )
        features = x + self.vis_pos_embed
        positions = self.pos_node_embed(paddle.arange(self._length)).unsqueeze(0) + self.char_pos_embed
        positions = self._decoded(self.pos_node_decoder, positions.expand([x.shape[0], -1, -1]), features)
        positions = positions[:, : self._length]
        if not self.training:
            seen = self._decoded(self.char_node_decoder, None, features)
            return {"cppd": F.softmax(self.edge_fc(self.edge_decoder(positions, seen)), axis=-1)}
        nodes = self._nodes(x.shape[0], targets)
        characters = self._decoded(self.char_node_decoder, self.char_node_embed(nodes), features)
        counted, seen = characters[:, : nodes.shape[1]], characters[:, nodes.shape[1] :]
        # Position i is asked about itself alone.
        asked = (positions * self.pos_node_fc1.weight.t()).sum(axis=2) + self.pos_node_fc1.bias
        return {
            "cppd": self.edge_fc(self.edge_decoder(positions, seen)),
            "cppd_counts": self.char_node_fc1(counted),
            "cppd_positions": asked,
            "cppd_nodes": nodes,
        }

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {
            "char_node_embed.embedding.weight": ClassAxis("cppd", 0),
            "edge_fc.weight": ClassAxis("cppd", 1),
            "edge_fc.bias": ClassAxis("cppd", 0),
        }

    @staticmethod
    def _decoded(layers: nn.LayerList, nodes: Tensor | None, features: Tensor) -> Tensor:
        """Nodes and features through the layers, which attend to the features."""
        x = features if nodes is None else paddle.concat([nodes, features], axis=1)
        first = 0 if nodes is None else nodes.shape[1]
        for layer in layers:
            x = layer(x, x[:, first:])
        return x

    def _nodes(self, count: int, targets: Mapping[str, Tensor] | None) -> Tensor:
        """Classes [N, K] that are counted."""
        if not self.needs_targets:
            return paddle.arange(self.out_channels).expand([count, -1])
        if targets is None:
            raise ValueError("CPPDHead needs targets in training")
        # Padding is below 0 and becomes the end, which every label has.
        label = targets["label_cppd"].clip(min=0)
        present = paddle.put_along_axis(paddle.zeros([count, self.out_channels]), label, 1.0, axis=1)
        chosen = paddle.topk(present + 0.5 * paddle.rand(present.shape), self._sampled, axis=1)[1]
        return chosen.sort(axis=1)
