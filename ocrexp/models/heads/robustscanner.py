"""RobustScanner's head (Yue et al., arXiv 2007.07542): characters from what was read before and from their position.

Names and shapes of the parameters are those of PaddleOCR's `RobustScannerHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.layers import Conv2D


class SequenceDecoder(nn.Layer):
    """Queries from the characters read so far."""

    def __init__(self, classes: int, channels: int, layers: int, drop: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, channels, padding_idx=classes - 1)
        self.sequence_layer = nn.LSTM(channels, channels, num_layers=layers, dropout=drop)

    def forward(self, characters: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Queries [N, L, channels] of characters [N, L], and the LSTM's state."""
        return self.sequence_layer(self.embedding(characters), state)


class PositionAwareModule(nn.Layer):
    """A map [N, channels, H, W] whose values know their place: an LSTM along the rows, two convolutions."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(channels, channels, num_layers=layers)
        self.mixer = nn.Sequential(
            Conv2D(channels, channels, 3, padding=1), nn.ReLU(), Conv2D(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        channels, height = x.shape[1:3]
        rows = self.rnn(x.transpose([0, 2, 3, 1]).flatten(0, 1))[0]
        # W first, so that only the images stay unknown in an exported graph.
        rows = rows.transpose([1, 0, 2]).reshape([0, -1, height, channels])
        return self.mixer(rows.transpose([1, 3, 2, 0]))


class PositionDecoder(nn.Layer):
    """Queries from the positions of the characters alone."""

    def __init__(self, channels: int, layers: int, steps: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(steps, channels)
        self.position_aware_module = PositionAwareModule(channels, layers)


class GatedFusion(nn.Layer):
    """Two glimpses [N, L, channels] to one, by a gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(2 * channels, 2 * channels)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        value, gate = self.linear_layer(paddle.concat([one, other], axis=-1)).chunk(2, axis=-1)
        return value * F.sigmoid(gate)


class Reducer(nn.Layer):
    """A 1×1 convolution to fewer channels."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.layer = Conv2D(in_channels, channels, 1, weight_attr=nn.initializer.XavierNormal())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class JoinedDecoders(nn.Layer):
    """Both decoders and what follows; see RobustScannerHead."""

    def __init__(
        self,
        in_channels: int,
        classes: int,
        channels: int,
        sequence_layers: int,
        drop: float,
        position_layers: int,
        steps: int,
        encode_value: bool,
    ) -> None:
        super().__init__()
        seen = channels if encode_value else in_channels
        self.hybrid_decoder = SequenceDecoder(classes, channels, sequence_layers, drop)
        self.position_decoder = PositionDecoder(channels, position_layers, steps)
        self.fusion_module = GatedFusion(seen)
        self.prediction = nn.Linear(seen, classes - 1)


class RobustScannerHead(nn.Layer):
    """RobustScanner's head; its tokens are SAR's.

    Args:
        in_channels: channels of the map (the model fills this in).
        out_channels: charset with its three special tokens (unknown, begin/end, padding; from the charset).
        enc_outchannles: channels of queries and keys, under PaddleOCR's name.
        hybrid_dec_rnn_layers: LSTM layers over the characters.
        hybrid_dec_dropout: dropout between them.
        position_dec_rnn_layers: LSTM layers along the rows of the map.
        max_text_length: characters at most.
        encode_value: the glimpses are of the reduced map, in place of the backbone's.
        mask: padding is not attended to; then the head needs the share of the image that is none, and is not exported.

    `forward(map [N, C, H, W], targets)` gives `{"sar": …}`: in training logits [N, max_text_length + 1,
    out_channels - 1] of what follows the begin of the labels `label_sar` [N, max_text_length + 2]; in evaluation
    probabilities [N, max_text_length, out_channels - 1]. With `mask`, `valid_ratio` [N] is used where it is among the
    targets.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "sar"
    output: ClassVar[str] = "sar"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        enc_outchannles: int = 128,
        hybrid_dec_rnn_layers: int = 2,
        hybrid_dec_dropout: float = 0.0,
        position_dec_rnn_layers: int = 2,
        max_text_length: int = 40,
        encode_value: bool = False,
        mask: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = Reducer(in_channels, enc_outchannles)
        self.decoder = JoinedDecoders(
            in_channels,
            out_channels,
            enc_outchannles,
            hybrid_dec_rnn_layers,
            hybrid_dec_dropout,
            position_dec_rnn_layers,
            max_text_length + 1,
            encode_value,
        )
        self.masks_padding = mask
        self._encode_value = encode_value
        self._steps = max_text_length
        self.out_channels = out_channels

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        keys = self.encoder(x)
        places = self.decoder.position_decoder.position_aware_module(keys)
        values = (keys if self._encode_value else x).flatten(2)
        ratio = None if targets is None or not self.masks_padding else targets.get("valid_ratio")
        mask = None if ratio is None else _mask(ratio, x.shape[2], x.shape[3])
        keys, places = keys.flatten(2), places.flatten(2)
        if not self.training:
            return {"sar": self._generate(keys, places, values, mask)}
        if targets is None:
            raise ValueError("RobustScannerHead needs targets in training")
        queries = self.decoder.hybrid_decoder(targets["label_sar"][:, :-1])[0]
        by_character = _glimpse(paddle.matmul(queries, keys), values, mask)
        by_position = self._by_position(queries.shape[1], places, values, mask)
        return {"sar": self.decoder.prediction(self.decoder.fusion_module(by_character, by_position))}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {
            "decoder.hybrid_decoder.embedding.weight": ClassAxis("sar", 0),
            "decoder.prediction.weight": ClassAxis("sar", 1),
            "decoder.prediction.bias": ClassAxis("sar", 0),
        }

    def _by_position(self, steps: int, places: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Glimpses [N, steps, C] of the first positions."""
        positions = self.decoder.position_decoder.embedding.weight[:steps]
        # Not queries [1, steps, D] times keys [N, D, T]: paddle takes the result's N for 1 in an exported graph.
        scores = paddle.matmul(places, positions, transpose_x=True, transpose_y=True)
        return _glimpse(scores.transpose([0, 2, 1]), values, mask)

    def _generate(self, keys: Tensor, places: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Probabilities [N, steps, classes] of greedy decoding."""
        by_position = self._by_position(self._steps, places, values, mask)
        previous = paddle.full([keys.shape[0], 1], self.out_channels - 2, dtype="int64")
        read, state, outputs = previous, None, []
        for step in range(self._steps):
            if paddle.in_dynamic_mode():
                query, state = self.decoder.hybrid_decoder(previous, state)
            else:  # paddle2onnx loses the state of all layers but one: in an exported graph all is read again
                query = self.decoder.hybrid_decoder(read)[0][:, -1:]
            by_character = _glimpse(paddle.matmul(query, keys), values, mask)
            seen = self.decoder.fusion_module(by_character, by_position[:, step : step + 1])
            outputs.append(F.softmax(self.decoder.prediction(seen), axis=-1))
            previous = outputs[-1].argmax(axis=-1)
            read = paddle.concat([read, previous], axis=1)
        return paddle.concat(outputs, axis=1)


def _mask(ratio: Tensor, height: int, width: int) -> Tensor:
    """[N, 1, H · W]: -inf in the columns that are padding."""
    columns = (ratio * width + 0.5).floor().clip(max=width).astype("int64")
    beyond = paddle.arange(width) >= columns.unsqueeze(1)
    mask = paddle.where(beyond, paddle.to_tensor(float("-inf")), paddle.to_tensor(0.0))
    return mask.unsqueeze(1).expand([-1, height, -1]).flatten(1).unsqueeze(1)


def _glimpse(scores: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Glimpses [N, L, C] of values [N, C, T] for scores [N, L, T]."""
    if mask is not None:
        scores = scores + mask
    return paddle.matmul(F.softmax(scores, axis=-1), values, transpose_y=True)
