"""The text direction classifier's head. Names and shapes of the parameters are those of PaddleOCR's `ClsHead`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.ctc import uniform_attr


class ClsHead(nn.Layer):
    """Global mean, linear layer.

    Args:
        in_channels: channels of the map (the model fills this in).
        labels: names of the classes; their number is what counts (PaddleOCR's `class_dim`).

    `forward(map [N, C, H, W])` gives `{"cls": [N, number of labels]}`: logits in training, probabilities in evaluation.
    """

    needs_targets = False
    token_kind: ClassVar[str | None] = None
    output: ClassVar[str] = "cls"

    def __init__(self, in_channels: int, labels: Sequence[str] = ("0", "180")) -> None:
        super().__init__()
        attr = uniform_attr(in_channels, decay=0.0)
        self.fc = nn.Linear(in_channels, len(labels), weight_attr=attr, bias_attr=attr)
        self.out_channels = len(labels)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return {"cls": logits if self.training else F.softmax(logits, axis=-1)}
