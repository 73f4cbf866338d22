"""SEED's head (Qiao et al., arXiv 2005.10977): ASTER's attention decoder, whose first state is a guess of the word's
meaning.

Names and shapes of the parameters are those of PaddleOCR's `AsterHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.heads.class_axes import ClassAxis

EMBEDDING = 300  # values of a word's vector, as fastText's


class Meaning(nn.Layer):
    """A sequence [N, steps, C] to a word vector [N, 300]."""

    def __init__(self, in_channels: int, steps: int) -> None:
        super().__init__()
        self.eEmbed = nn.Linear(steps * in_channels, EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        return self.eEmbed(x.flatten(1))


class AttentionUnit(nn.Layer):
    """Additive attention to the sequence."""

    def __init__(self, in_channels: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.sEmbed = nn.Linear(hidden, attention)
        self.xEmbed = nn.Linear(in_channels, attention)
        self.wEmbed = nn.Linear(attention, 1)

    def forward(self, x: Tensor, keys: Tensor, state: Tensor) -> Tensor:
        """The glimpse [N, C] of the sequence [N, T, C] with its keys [N, T, attention]."""
        energy = self.wEmbed(F.tanh(keys + self.sEmbed(state).unsqueeze(1)))
        return paddle.matmul(F.softmax(energy, axis=1), x, transpose_x=True).squeeze(1)


class DecoderUnit(nn.Layer):
    """One step: attend, then a GRU over the glimpse and the previous character."""

    def __init__(self, in_channels: int, classes: int, hidden: int, attention: int) -> None:
        super().__init__()
        start = nn.initializer.Normal(std=0.01)
        self.attention_unit = AttentionUnit(in_channels, hidden, attention)
        self.tgt_embedding = nn.Embedding(classes + 1, attention, weight_attr=start)  # the last one begins
        self.gru = nn.GRUCell(in_channels + attention, hidden)
        self.fc = nn.Linear(hidden, classes, weight_attr=start, bias_attr=nn.initializer.Constant(0.0))
        self.embed_fc = nn.Linear(EMBEDDING, hidden)

    def forward(self, x: Tensor, keys: Tensor, state: Tensor, previous: Tensor) -> Tensor:
        """The new state [N, hidden]."""
        glimpse = self.attention_unit(x, keys, state)
        return self.gru(paddle.concat([self.tgt_embedding(previous), glimpse], axis=1), state)[0]


class SEEDDecoder(nn.Layer):
    """The unit under PaddleOCR's name."""

    def __init__(self, in_channels: int, classes: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.decoder = DecoderUnit(in_channels, classes, hidden, attention)


class AsterHead(nn.Layer):
    """SEED's head.

    Args:
        in_channels: channels of the sequence (the model fills this in).
        out_channels: classes: characters, end, padding, unknown (from the charset).
        hidden_size: units of the GRU.
        attention_size: channels of the attention and of the characters' embeddings.
        max_text_length: characters decoded at most.
        time_step: steps of the sequence; one size of images fits.

    `forward(sequence [N, time_step, C], targets)` gives `{"seed": …}`: in training logits [N, L, out_channels] for the
    labels `label_seed` up to the longest of the batch (L = longest `length` + 1), and `seed_embedding` [N, 300], the
    guessed word vector; in evaluation probabilities [N, max_text_length, out_channels] of greedy decoding.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "seed"
    output: ClassVar[str] = "seed"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_size: int = 512,
        attention_size: int = 512,
        max_text_length: int = 25,
        time_step: int = 25,
    ) -> None:
        super().__init__()
        self.decoder = SEEDDecoder(in_channels, out_channels, hidden_size, attention_size)
        self.embedder = Meaning(in_channels, time_step)
        self.positions = time_step
        self.out_channels = out_channels
        self._steps = max_text_length

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if paddle.in_dynamic_mode() and x.shape[1] != self.positions:
            raise ConfigError(
                f"the backbone gives {x.shape[1]} steps, but the head AsterHead expects {self.positions}; set its "
                "time_step or the size of the images"
            )
        unit = self.decoder.decoder
        meaning = self.embedder(x)
        state, keys = unit.embed_fc(meaning), unit.attention_unit.xEmbed(x)
        begin = paddle.full([x.shape[0]], self.out_channels, dtype="int64")
        if not self.training:
            return {"seed": self._generate(x, keys, state, begin)}
        if targets is None:
            raise ValueError("AsterHead needs targets in training")
        label, steps = targets["label_seed"], int(targets["length"].max()) + 1
        states = []
        for step in range(steps):
            state = unit(x, keys, state, label[:, step - 1] if step else begin)
            states.append(state)
        return {"seed": unit.fc(paddle.stack(states, axis=1)), "seed_embedding": meaning}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        unit = "decoder.decoder"
        return {
            f"{unit}.tgt_embedding.weight": ClassAxis("seed", 0),
            f"{unit}.fc.weight": ClassAxis("seed", 1),
            f"{unit}.fc.bias": ClassAxis("seed", 0),
        }

    def _generate(self, x: Tensor, keys: Tensor, state: Tensor, previous: Tensor) -> Tensor:
        unit, outputs = self.decoder.decoder, []
        for _ in range(self._steps):
            state = unit(x, keys, state, previous)
            outputs.append(F.softmax(unit.fc(state), axis=-1))
            previous = outputs[-1].argmax(axis=-1)
        return paddle.stack(outputs, axis=1)
