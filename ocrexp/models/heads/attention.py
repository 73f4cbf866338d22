"""RARE's decoder (Shi et al., arXiv 1603.03915): a GRU or LSTM with additive attention, one character per step.

Names and shapes of the parameters are those of PaddleOCR's `AttentionHead`, `AttentionLSTM` and `SPINAttentionHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis

START = 0  # the class `sos`

State = tuple[Tensor, ...]  # of a GRU (hidden,), of an LSTM (hidden, cell); [N, hidden] each


class AttentionCell(nn.Layer):
    """One step: attend to the sequence, then a GRU or LSTM over the glimpse and the previous character."""

    def __init__(self, in_channels: int, hidden_size: int, classes: int, lstm: bool = False) -> None:
        super().__init__()
        self.i2h = nn.Linear(in_channels, hidden_size, bias_attr=False)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1, bias_attr=False)
        self.rnn = (nn.LSTMCell if lstm else nn.GRUCell)(in_channels + classes, hidden_size)
        self._classes, self._lstm = classes, lstm

    def forward(self, state: State, sequence: Tensor, keys: Tensor, previous: Tensor) -> State:
        """New state from the old one, the sequence [N, T, C], its keys [N, T, hidden] and the previous characters
        [N]."""
        energy = self.score(F.tanh(keys + self.h2h(state[0]).unsqueeze(1)))
        weights = F.softmax(energy, axis=1).transpose([0, 2, 1])
        glimpse = paddle.matmul(weights, sequence).squeeze(1)
        x = paddle.concat([glimpse, F.one_hot(previous, self._classes)], axis=1)
        return self.rnn(x, state)[1] if self._lstm else (self.rnn(x, state[0])[0],)


class AttentionDecoder(nn.Layer):
    """The cell and what makes characters of its states.

    Args:
        in_channels: channels of the sequence.
        out_channels: classes.
        hidden_size: units of the cell.
        lstm: it is an LSTM; false: a GRU.
    """

    def __init__(self, in_channels: int, out_channels: int, hidden_size: int, lstm: bool = False) -> None:
        super().__init__()
        self.attention_cell = AttentionCell(in_channels, hidden_size, out_channels, lstm)
        self.generator = nn.Linear(hidden_size, out_channels)
        self._hidden, self._states = hidden_size, 2 if lstm else 1
        self.out_channels = out_channels

    def forced(self, x: Tensor, label: Tensor) -> Tensor:
        """Logits [N, L - 1, classes] of what follows each character of the label [N, L]; the sequence is [N, T, C]."""
        keys = self.attention_cell.i2h(x)
        state = self._begin(x)
        outputs = []
        for step in range(label.shape[1] - 1):
            state = self.attention_cell(state, x, keys, label[:, step])
            outputs.append(state[0])
        return self.generator(paddle.stack(outputs, axis=1))

    def free(self, x: Tensor, steps: int) -> Tensor:
        """Logits [N, steps, classes]: each step sees the likeliest character of the one before."""
        keys = self.attention_cell.i2h(x)
        state = self._begin(x)
        previous = paddle.full([x.shape[0]], START, dtype="int64")
        logits = []
        for _ in range(steps):
            state = self.attention_cell(state, x, keys, previous)
            logits.append(self.generator(state[0]))
            previous = logits[-1].argmax(axis=1)
        return paddle.stack(logits, axis=1)

    def axes(self, kind: str) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes of tokens of this kind."""
        glimpse = self.attention_cell.i2h.weight.shape[0]
        return {
            "attention_cell.rnn.weight_ih": ClassAxis(kind, 1, offset=glimpse),
            "generator.weight": ClassAxis(kind, 1),
            "generator.bias": ClassAxis(kind, 0),
        }

    def _begin(self, x: Tensor) -> State:
        return tuple(paddle.zeros([x.shape[0], self._hidden]) for _ in range(self._states))


class AttentionHead(AttentionDecoder):
    """Decodes a sequence into characters.

    Args:
        in_channels: channels of the sequence (the model fills this in).
        out_channels: classes, `sos` first and `eos` last (from the charset).
        hidden_size: units of the GRU.
        max_text_length: characters decoded at most.
        teacher_forcing: in training each step sees the true previous character. PaddleOCR's training loop gives its
            head no labels, so that it sees its own guesses: `false` does the same.

    `forward(sequence [N, T, C], targets)` gives `{"attention": …}`: in training logits [N, L - 1, out_channels], of the
    characters after `sos` of the labels `label_attention` [N, L]; without teacher forcing, as in PaddleOCR,
    [N, max_text_length, out_channels], of the labels from `sos` on. In evaluation probabilities
    [N, max_text_length, out_channels] of greedy decoding.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "attention"
    output: ClassVar[str] = "attention"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_size: int = 96,
        max_text_length: int = 25,
        teacher_forcing: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, hidden_size)
        self._steps = max_text_length
        self._forced = teacher_forcing

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if self.training and self._forced:
            if targets is None:
                raise ValueError("AttentionHead needs targets in training")
            return {"attention": self.forced(x, targets["label_attention"])}
        logits = self.free(x, self._steps)
        return {"attention": logits if self.training else F.softmax(logits, axis=-1)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return self.axes("attention")


class SPINHead(AttentionDecoder):
    """SPIN's decoder (Zhang et al., arXiv 2005.13117): the same with an LSTM.

    Args:
        in_channels: channels of the sequence (the model fills this in).
        out_channels: classes, `sos` and `eos` first (from the charset).
        hidden_size: units of the LSTM.
        max_text_length: characters at most.

    `forward(sequence [N, T, C], targets)` gives `{"spin": …}`: in training logits [N, L - 1, out_channels] of the
    characters after `sos` of the labels `label_spin` [N, L]; in evaluation probabilities [N, max_text_length + 1,
    out_channels] of greedy decoding.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "spin"
    output: ClassVar[str] = "spin"

    def __init__(self, in_channels: int, out_channels: int, hidden_size: int = 256, max_text_length: int = 25) -> None:
        super().__init__(in_channels, out_channels, hidden_size, lstm=True)
        self._steps = max_text_length + 1

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if not self.training:
            return {"spin": F.softmax(self.free(x, self._steps), axis=-1)}
        if targets is None:
            raise ValueError("SPINHead needs targets in training")
        return {"spin": self.forced(x, targets["label_spin"])}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return self.axes("spin")
