"""PREN's head: a linear layer for each character. Names and shapes are those of PaddleOCR's `PRENHead`."""

from __future__ import annotations

from typing import ClassVar

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis


class PRENHead(nn.Layer):
    """PREN's head.

    Args:
        in_channels: channels of the sequence (the model fills this in).
        out_channels: classes: padding, end, unknown, characters (from the charset).

    `forward(sequence [N, L, in_channels])` gives `{"pren": [N, L, out_channels]}`: logits in training, probabilities in
    evaluation.
    """

    needs_targets = False
    token_kind: ClassVar[str] = "pren"
    output: ClassVar[str] = "pren"

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.linear(x)
        return {"pren": logits if self.training else F.softmax(logits, axis=-1)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {"linear.weight": ClassAxis("pren", 1), "linear.bias": ClassAxis("pren", 0)}
