"""SRN's transformer encoders: norms before attention and MLP, and a last norm.

Names and shapes of the parameters are those of PaddleOCR's `self_attention`. Where PaddleOCR evaluates while it trains,
its dropout stays on; here it is off, and values have their mean, as in its exported models.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.attention import attend

_DROP = 0.1


def dropout() -> nn.Dropout:
    """Drops a tenth; in evaluation all is multiplied by the share that is kept."""
    return nn.Dropout(_DROP, mode="downscale_in_infer")


class Norm(nn.Layer):
    """A layer norm under PaddleOCR's name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer_norm_0 = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer_norm_0(x)


class SelfAttention(nn.Layer):
    """Multi-head attention over [N, L, channels] without biases, scaled by the root of all channels."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.q_fc = nn.Linear(channels, channels, bias_attr=False)
        self.k_fc = nn.Linear(channels, channels, bias_attr=False)
        self.v_fc = nn.Linear(channels, channels, bias_attr=False)
        self.proj_fc = nn.Linear(channels, channels, bias_attr=False)
        self.dropout = dropout()
        self._heads, self._scale = num_heads, channels**-0.5

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            layer(x).reshape([0, x.shape[1], self._heads, -1]).transpose([0, 2, 1, 3])
            for layer in (self.q_fc, self.k_fc, self.v_fc)
        )
        return self.proj_fc(attend(query, key, value, mask, self.dropout, self._scale))


class SRNMlp(nn.Layer):
    """Two linear layers of equal size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels)
        self.fc2 = nn.Linear(channels, channels)
        self.dropout = dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class SRNEncoderLayer(nn.Layer):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.preprocesser1 = Norm(channels)
        self.self_attn = SelfAttention(channels, num_heads)
        self.preprocesser2 = Norm(channels)
        self.ffn = SRNMlp(channels)
        self.dropout1, self.dropout2 = dropout(), dropout()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.dropout1(self.self_attn(self.preprocesser1(x), mask))
        return x + self.dropout2(self.ffn(self.preprocesser2(x)))


class SRNEncoder(nn.Layer):
    """`layers` layers and a norm; `mask` [L, L] is added to the scores of the attentions."""

    def __init__(self, channels: int, num_heads: int, layers: int) -> None:
        super().__init__()
        if channels % num_heads:
            raise ConfigError(f"num_heads: expected a divisor of the {channels} channels, got {num_heads}")
        self._layers = [
            self.add_sublayer(f"layer_{index}", SRNEncoderLayer(channels, num_heads)) for index in range(layers)
        ]
        self.processor = Norm(channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self._layers:
            x = layer(x, mask)
        return self.processor(x)


class VisualInput(nn.Layer):
    """Visual features, scaled, and random positions, which do not learn."""

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(positions, channels)
        self.emb.weight.stop_gradient = True
        self.dropout = dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x * x.shape[2] ** 0.5 + self.emb.weight)


class CharacterInput(nn.Layer):
    """Embeddings of characters, scaled, and random positions, which do not learn; class 0 is embedded as 0."""

    def __init__(self, classes: int, channels: int, positions: int) -> None:
        super().__init__()
        draw = nn.initializer.Normal(0.0, channels**-0.5)
        self.emb0 = nn.Embedding(classes, channels, padding_idx=0, weight_attr=paddle.ParamAttr(initializer=draw))
        self.emb1 = nn.Embedding(positions, channels)
        self.emb1.weight.stop_gradient = True
        self.dropout = dropout()
        self._scale = channels**0.5

    def forward(self, characters: Tensor) -> Tensor:
        return self.dropout(self.emb0(characters) * self._scale + self.emb1.weight)


class VisualEncoder(nn.Layer):
    """Encoder over the positions of a map: [N, positions, channels] to the same shape."""

    def __init__(self, channels: int, num_heads: int, layers: int, positions: int) -> None:
        super().__init__()
        self.prepare_encoder = VisualInput(channels, positions)
        self.encoder = SRNEncoder(channels, num_heads, layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(self.prepare_encoder(x))


class CharacterEncoder(nn.Layer):
    """Encoder over characters: classes [N, steps] to [N, steps, channels]."""

    def __init__(self, classes: int, channels: int, num_heads: int, layers: int, steps: int) -> None:
        super().__init__()
        self.prepare_decoder = CharacterInput(classes, channels, steps)
        self.encoder = SRNEncoder(channels, num_heads, layers)

    def forward(self, characters: Tensor, mask: Tensor) -> Tensor:
        return self.encoder(self.prepare_decoder(characters), mask)
