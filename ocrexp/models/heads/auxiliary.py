"""A second, simple head in training: the backbone learns its letters before what stands behind it can pass them on."""

from __future__ import annotations

from typing import ClassVar

from paddle import Tensor, nn

from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.heads.ctc import CTCHead
from ocrexp.models.necks.sequence import as_sequence


class AuxiliaryCTC(nn.Layer):
    """CTC on the backbone's map itself, in training only (deep supervision: Lee et al., arXiv 1409.5185).

    Two LSTM layers that have learned nothing hide from a backbone what it does right: CRNN finds its first letters
    after thousands of steps, with this head after some hundred.

    Args:
        in_channels: channels of the map (the model fills this in).
        out_channels: classes, the blank (class 0) included (from the charset).

    `forward(map [N, C, 1, W])` gives `{"auxiliary_ctc": logits [N, W, out_channels]}`.
    """

    token_kind: ClassVar[str] = "ctc"
    output: ClassVar[str] = "ctc"

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.ctc_head = CTCHead(in_channels, out_channels)

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        return {f"ctc_head.{name}": axis for name, axis in self.ctc_head.class_axes().items()}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"auxiliary_ctc": self.ctc_head.fc(as_sequence(x))}
