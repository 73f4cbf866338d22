"""Heads that classify each step of a sequence: CTC's (Graves et al., 2006) and ViTSTR's.

Names and shapes of the parameters are those of PaddleOCR's `CTCHead`.
"""

from __future__ import annotations

import math
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.heads.class_axes import ClassAxis


def uniform_attr(fan_in: int, decay: float) -> paddle.ParamAttr:
    """Start in ±1/sqrt(fan_in), with an L2 decay of its own in place of the optimizer's (AdamW knows only its own)."""
    bound = 1 / math.sqrt(fan_in)
    return paddle.ParamAttr(
        initializer=nn.initializer.Uniform(-bound, bound), regularizer=paddle.regularizer.L2Decay(decay)
    )


class CTCHead(nn.Layer):
    """Linear layer over the classes at each step.

    Args:
        in_channels: channels of the sequence (the model fills this in).
        out_channels: classes, the blank (class 0) included (from the charset).
        fc_decay: L2 decay of this layer.
        mid_channels: a linear layer of that many units before it; null: none.
        use_guide: a depthwise convolution over 5 steps and a pointwise one before all (PP-OCRv6 tiny), each with batch
            norm and hard swish.

    `forward(sequence [N, T, in_channels])` gives `{"ctc": [N, T, out_channels]}`: logits in training, probabilities in
    evaluation.
    """

    needs_targets = False
    token_kind: ClassVar[str] = "ctc"
    output: ClassVar[str] = "ctc"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        fc_decay: float = 0.0004,
        mid_channels: int | None = None,
        use_guide: bool = False,
    ) -> None:
        super().__init__()
        self.guide_layer = _guide_layer(in_channels) if use_guide else None
        attr = uniform_attr(in_channels, fc_decay)
        if mid_channels is None:
            self.fc = nn.Linear(in_channels, out_channels, weight_attr=attr, bias_attr=attr)
        else:
            self.fc1 = nn.Linear(in_channels, mid_channels, weight_attr=attr, bias_attr=attr)
            attr = uniform_attr(mid_channels, fc_decay)
            self.fc2 = nn.Linear(mid_channels, out_channels, weight_attr=attr, bias_attr=attr)
        self._two = mid_channels is not None
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        if self.guide_layer is not None:
            x = self.guide_layer(x.transpose([0, 2, 1])).transpose([0, 2, 1])
        logits = self.fc2(self.fc1(x)) if self._two else self.fc(x)
        return {self.token_kind: logits if self.training else F.softmax(logits, axis=-1)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        layer = "fc2" if self._two else "fc"
        return {f"{layer}.weight": ClassAxis(self.token_kind, 1), f"{layer}.bias": ClassAxis(self.token_kind, 0)}


def _guide_layer(channels: int) -> nn.Sequential:
    """[N, channels, T] to the same shape."""
    return nn.Sequential(
        nn.Conv1D(channels, channels, 5, padding=2, groups=channels, bias_attr=False),
        nn.BatchNorm1D(channels),
        nn.Hardswish(),
        nn.Conv1D(channels, channels, 1, bias_attr=False),
        nn.BatchNorm1D(channels),
        nn.Hardswish(),
    )


class ViTSTRHead(CTCHead):
    """The same layer where a step is a character, as ViTSTR's: gives `{"vitstr": …}`."""

    token_kind: ClassVar[str] = "vitstr"
    output: ClassVar[str] = "vitstr"
