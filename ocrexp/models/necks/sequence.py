"""From a map of height 1 to a sequence, and what is done to it before the head.

Names and shapes of the parameters are those of PaddleOCR's `SequenceEncoder`.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddle import Tensor, nn

from ocrexp.errors import ConfigError
from ocrexp.models.heads.ctc import uniform_attr


def as_sequence(x: Tensor) -> Tensor:
    """[N, C, 1, W] to [N, W, C]; raises ConfigError if the map is higher than 1."""
    if x.shape[2] != 1:
        raise ConfigError(
            f"the backbone gives maps of height {x.shape[2]}, but a sequence needs 1; use its standard image "
            "height (32; 48 for PP-OCRv3 and v4)"
        )
    return x.squeeze(2).transpose([0, 2, 1])


class Reshape(nn.Layer):
    """The map's columns as a sequence, nothing more (PaddleOCR's encoder_type `reshape`).

    `forward(map [N, C, 1, W])` gives [N, W, C].
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        return as_sequence(x)


class RNNEncoder(nn.Layer):
    """Two bidirectional LSTM layers of CRNN (Shi et al., arXiv 1507.05717; PaddleOCR's encoder_type `rnn`).

    Args:
        in_channels: channels of the map (the model fills this in).
        hidden_size: units of each direction.

    `forward(map [N, C, 1, W])` gives [N, W, 2 · hidden_size].
    """

    def __init__(self, in_channels: int, hidden_size: int = 96) -> None:
        super().__init__()
        self.encoder = _RNN(in_channels, hidden_size)
        self.out_channels = hidden_size * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(as_sequence(x))


class _RNN(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_channels, hidden_size, num_layers=2, direction="bidirectional")

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class CascadeRNNEncoder(nn.Layer):
    """Bidirectional LSTM layers, each with a linear layer after it (PaddleOCR's encoder_type `cascadernn`).

    Args:
        in_channels: channels of the map (the model fills this in).
        hidden_size: units of each direction.
        out_channels: channels after each layer; as many as layers.

    `forward(map [N, C, 1, W])` gives [N, W, last of out_channels].
    """

    def __init__(self, in_channels: int, hidden_size: int = 256, out_channels: Sequence[int] = (256, 512)) -> None:
        super().__init__()
        if not out_channels:
            raise ValueError("out_channels: expected the channels of at least one layer, got none")
        self.encoder = _Cascade(in_channels, hidden_size, out_channels)
        self.out_channels = int(out_channels[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(as_sequence(x))


class _Cascade(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        before = [in_channels, *widths[:-1]]
        self.encoder = nn.LayerList([_LSTMLinear(a, hidden_size, b) for a, b in zip(before, widths, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.encoder:
            x = layer(x)
        return x


class _LSTMLinear(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int, out_channels: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(in_channels, hidden_size, direction="bidirectional")
        self.linear = nn.Linear(hidden_size * 2, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.rnn(x)[0])


class FCEncoder(nn.Layer):
    """A linear layer for each step (PaddleOCR's encoder_type `fc`).

    Args:
        in_channels: channels of the map (the model fills this in).
        hidden_size: channels given on.

    `forward(map [N, C, 1, W])` gives [N, W, hidden_size].
    """

    def __init__(self, in_channels: int, hidden_size: int = 96) -> None:
        super().__init__()
        self.encoder = _FC(in_channels, hidden_size)
        self.out_channels = hidden_size

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(as_sequence(x))


class _FC(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        attr = uniform_attr(in_channels, decay=1e-5)
        self.fc = nn.Linear(in_channels, hidden_size, weight_attr=attr, bias_attr=attr)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)
