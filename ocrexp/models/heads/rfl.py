"""RFL's head (Jiang et al., arXiv 2105.06229): attention reads the text; in training its characters are counted too.

Names and shapes of the parameters are those of PaddleOCR's `RFLHead`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.heads.attention import AttentionDecoder
from ocrexp.models.heads.class_axes import ClassAxis


class CNTHead(nn.Layer):
    """How often each class occurs [N, classes], from a sequence [N, columns, C]."""

    def __init__(self, channels: int, columns: int, classes: int) -> None:
        super().__init__()
        self.Wv_fusion = nn.Linear(channels, channels, bias_attr=False)
        self.Prediction_visual = nn.Linear(columns * channels, classes)
        self._columns = columns

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self._columns:
            raise ConfigError(
                f"RFLHead: the backbone gives {x.shape[1]} columns, the head counts in {self._columns}; set "
                f"model.head.columns={x.shape[1]}"
            )
        return self.Prediction_visual(self.Wv_fusion(x).flatten(1))


class RFLHead(nn.Layer):
    """RFL's decoder and counter.

    Args:
        in_channels: channels of both sequences (the model fills this in).
        out_channels: classes, `sos` first and `eos` last (from the charset).
        hidden_size: units of the LSTM.
        max_text_length: characters at most.
        columns: length of the sequence that is counted: a quarter of the width of images and one.

    `forward([sequence of counting, sequence of reading], targets)` gives in training `rfl` (logits [N, L - 1,
    out_channels] of what follows `sos` in the labels `label_rfl` [N, L]) and `rfl_counts` [N, out_channels]; in
    evaluation `rfl` alone, probabilities [N, max_text_length + 1, out_channels] of greedy decoding.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "rfl"
    output: ClassVar[str] = "rfl"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_size: int = 256,
        max_text_length: int = 25,
        columns: int = 26,
    ) -> None:
        super().__init__()
        self.cnt_head: CNTHead | None = CNTHead(in_channels, columns, out_channels)
        self.seq_head = AttentionDecoder(in_channels, out_channels, hidden_size, lstm=True)
        for layer in self.sublayers():
            if isinstance(layer, nn.Linear):
                nn.initializer.KaimingNormal()(layer.weight)
        self._steps = max_text_length + 1
        self.out_channels = out_channels

    def forward(self, x: Sequence[Tensor], targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        counted, read = x
        if not self.training:
            return {"rfl": F.softmax(self.seq_head.free(read, self._steps), axis=-1)}
        if targets is None or self.cnt_head is None:
            raise ValueError("RFLHead needs targets in training")
        return {"rfl": self.seq_head.forced(read, targets["label_rfl"]), "rfl_counts": self.cnt_head(counted)}

    def drop_training_branches(self) -> None:
        """Drops the counts."""
        self.cnt_head = None

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        axes = {f"seq_head.{name}": axis for name, axis in self.seq_head.axes("rfl").items()}
        return axes | {
            "cnt_head.Prediction_visual.weight": ClassAxis("rfl", 1),
            "cnt_head.Prediction_visual.bias": ClassAxis("rfl", 0),
        }
