"""RARE's decoder (Shi et al., arXiv 1603.03915): a GRU with additive attention, one character per step.

Names and shapes of the parameters are those of PaddleOCR's `AttentionHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis

START = 0  # the class `sos`


class AttentionCell(nn.Layer):
    """One step: attend to the sequence, then a GRU over the glimpse and the previous character."""

    def __init__(self, in_channels: int, hidden_size: int, classes: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(in_channels, hidden_size, bias_attr=False)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1, bias_attr=False)
        self.rnn = nn.GRUCell(in_channels + classes, hidden_size)
        self._classes = classes

    def forward(self, hidden: Tensor, sequence: Tensor, keys: Tensor, previous: Tensor) -> Tensor:
        """New hidden state [N, hidden] from the old one, the sequence [N, T, C], its keys [N, T, hidden] and the
        previous characters [N]."""
        energy = self.score(F.tanh(keys + self.h2h(hidden).unsqueeze(1)))
        weights = F.softmax(energy, axis=1).transpose([0, 2, 1])
        glimpse = paddle.matmul(weights, sequence).squeeze(1)
        character = F.one_hot(previous, self._classes)
        return self.rnn(paddle.concat([glimpse, character], axis=1), hidden)[0]


class AttentionHead(nn.Layer):
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
        super().__init__()
        self.attention_cell = AttentionCell(in_channels, hidden_size, out_channels)
        self.generator = nn.Linear(hidden_size, out_channels)
        self._hidden = hidden_size
        self._steps = max_text_length
        self._forced = teacher_forcing
        self.out_channels = out_channels

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if self.training and self._forced:
            if targets is None:
                raise ValueError("AttentionHead needs targets in training")
            return {"attention": self._forced_logits(x, targets["label_attention"])}
        logits = self._free_logits(x)
        return {"attention": logits if self.training else F.softmax(logits, axis=-1)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        glimpse = self.attention_cell.i2h.weight.shape[0]
        return {
            "attention_cell.rnn.weight_ih": ClassAxis("attention", 1, offset=glimpse),
            "generator.weight": ClassAxis("attention", 1),
            "generator.bias": ClassAxis("attention", 0),
        }

    def _forced_logits(self, x: Tensor, label: Tensor) -> Tensor:
        keys = self.attention_cell.i2h(x)
        hidden = paddle.zeros([x.shape[0], self._hidden])
        states = []
        for step in range(label.shape[1] - 1):
            hidden = self.attention_cell(hidden, x, keys, label[:, step])
            states.append(hidden)
        return self.generator(paddle.stack(states, axis=1))

    def _free_logits(self, x: Tensor) -> Tensor:
        keys = self.attention_cell.i2h(x)
        hidden = paddle.zeros([x.shape[0], self._hidden])
        previous = paddle.full([x.shape[0]], START, dtype="int64")
        logits = []
        for _ in range(self._steps):
            hidden = self.attention_cell(hidden, x, keys, previous)
            logits.append(self.generator(hidden))
            previous = logits[-1].argmax(axis=1)
        return paddle.stack(logits, axis=1)
