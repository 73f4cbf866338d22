"""SAR's head (Li et al., arXiv 1811.00751): an LSTM reads the image into one vector, another writes the characters with
attention to the two-dimensional map.

Names and shapes of the parameters are those of PaddleOCR's `SARHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.layers import Conv2D


class Encoder(nn.Layer):
    """Map [N, C, H, W] to one vector [N, channels]: columns' maxima through two LSTM layers, the last valid step."""

    def __init__(self, in_channels: int, channels: int, drop: float) -> None:
        super().__init__()
        self.rnn_encoder = nn.LSTM(in_channels, channels, num_layers=2, dropout=drop)
        self.linear = nn.Linear(channels, channels)

    def forward(self, feature: Tensor, valid_ratio: Tensor | None) -> Tensor:
        columns = feature.max(axis=2).transpose([0, 2, 1])
        states = self.rnn_encoder(columns)[0]
        if valid_ratio is None:
            return self.linear(states[:, -1])
        last = _valid_width(valid_ratio, states.shape[1]) - 1
        rows = paddle.arange(states.shape[0])
        return self.linear(paddle.gather_nd(states, paddle.stack([rows, last], axis=1)))


def _valid_width(valid_ratio: Tensor, width: int) -> Tensor:
    """Columns [N] (int64) that hold image and not padding."""
    return paddle.ceil(valid_ratio * width).clip(max=width).astype("int64")


class SARDecoder(nn.Layer):
    """Writes the characters; see SARHead."""

    def __init__(
        self, in_channels: int, out_channels: int, channels: int, attention: int, drop: float, steps: int
    ) -> None:
        super().__init__()
        self._start = out_channels - 2
        self._steps = steps
        self.conv1x1_1 = nn.Linear(channels, attention)
        self.conv3x3_1 = Conv2D(in_channels, attention, 3, padding=1)
        self.conv1x1_2 = nn.Linear(attention, 1)
        self.rnn_decoder = nn.LSTM(channels, channels, num_layers=2)
        self.embedding = nn.Embedding(out_channels, channels, padding_idx=out_channels - 1)
        self.pred_dropout = nn.Dropout(drop)
        self.prediction = nn.Linear(channels + in_channels + channels, out_channels - 1)

    def forward(self, feature: Tensor, holistic: Tensor, label: Tensor, valid_ratio: Tensor | None) -> Tensor:
        """Logits [N, L, classes] where step t has seen the label [N, L] up to t."""
        inputs = paddle.concat([holistic.unsqueeze(1), self.embedding(label)], axis=1)
        states = self.rnn_decoder(inputs)[0][:, 1:]
        keys = self._keys(feature)
        return self.pred_dropout(self._predict(states, keys, feature, holistic, self._mask(feature, valid_ratio)))

    def generate(self, feature: Tensor, holistic: Tensor, valid_ratio: Tensor | None) -> Tensor:
        """Probabilities [N, steps, classes] of greedy decoding."""
        keys, mask = self._keys(feature), self._mask(feature, valid_ratio)
        _, memory = self.rnn_decoder(holistic.unsqueeze(1))
        previous = paddle.full([feature.shape[0]], self._start, dtype="int64")
        outputs = []
        for _ in range(self._steps):
            state, memory = self.rnn_decoder(self.embedding(previous).unsqueeze(1), memory)
            outputs.append(F.softmax(self._predict(state, keys, feature, holistic, mask), axis=-1))
            previous = outputs[-1].squeeze(1).argmax(axis=1)
        return paddle.concat(outputs, axis=1)

    def _keys(self, feature: Tensor) -> Tensor:
        return self.conv3x3_1(feature).flatten(2).transpose([0, 2, 1]).unsqueeze(1)

    @staticmethod
    def _mask(feature: Tensor, valid_ratio: Tensor | None) -> Tensor | None:
        """[N, 1, H · W]: -inf on padding."""
        if valid_ratio is None:
            return None
        height, width = feature.shape[2:]
        beyond = paddle.arange(width) >= _valid_width(valid_ratio, width).unsqueeze(1)
        mask = paddle.where(beyond, paddle.to_tensor(float("-inf")), paddle.to_tensor(0.0))
        return mask.unsqueeze(1).expand([-1, height, -1]).flatten(1).unsqueeze(1)

    def _predict(self, states: Tensor, keys: Tensor, feature: Tensor, holistic: Tensor, mask: Tensor | None) -> Tensor:
        """Logits [N, L, classes] from states [N, L, channels] and keys [N, 1, H · W, attention]."""
        energy = self.conv1x1_2(F.tanh(keys + self.conv1x1_1(states).unsqueeze(2))).squeeze(3)
        if mask is not None:
            energy = energy + mask
        glimpse = paddle.matmul(F.softmax(energy, axis=-1), feature.flatten(2), transpose_y=True)
        whole = holistic.unsqueeze(1).expand([-1, states.shape[1], -1])
        return self.prediction(paddle.concat([states, glimpse, whole], axis=2))


class SARHead(nn.Layer):
    """SAR's encoder and decoder.

    Args:
        in_channels: channels of the map (the model fills this in).
        out_channels: charset with its three special tokens (unknown, begin/end, padding; from the charset).
        enc_dim: units of the LSTMs.
        max_text_length: characters decoded at most.
        enc_drop_rnn: dropout between the encoder's LSTM layers.
        d_k: channels of the attention.
        pred_dropout: dropout of the logits.

    `forward(map [N, C, H, W], targets)` gives `{"sar": …}`: in training logits [N, L, out_channels - 1] for the labels
    `label_sar` [N, L] (step t has seen them up to t); in evaluation probabilities [N, max_text_length,
    out_channels - 1]. With `valid_ratio` [N] among the targets, the share of the width that is not padding, the padding
    is not attended to, in evaluation too.
    """

    needs_targets = True
    masks_padding = True
    token_kind: ClassVar[str] = "sar"
    output: ClassVar[str] = "sar"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        enc_dim: int = 512,
        max_text_length: int = 30,
        enc_drop_rnn: float = 0.1,
        d_k: int = 512,
        pred_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(in_channels, enc_dim, enc_drop_rnn)
        self.decoder = SARDecoder(in_channels, out_channels, enc_dim, d_k, pred_dropout, max_text_length)
        self.out_channels = out_channels

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        valid_ratio = None if targets is None else targets.get("valid_ratio")
        holistic = self.encoder(x, valid_ratio)
        if not self.training:
            return {"sar": self.decoder.generate(x, holistic, valid_ratio)}
        if targets is None:
            raise ValueError("SARHead needs targets in training")
        return {"sar": self.decoder(x, holistic, targets["label_sar"], valid_ratio)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {
            "decoder.embedding.weight": ClassAxis("sar", 0),
            "decoder.prediction.weight": ClassAxis("sar", 1),
            "decoder.prediction.bias": ClassAxis("sar", 0),
        }
