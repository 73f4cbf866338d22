"""The head of PSENet (Wang et al., arXiv 1903.12473).

Names and shapes of the parameters are those of PaddleOCR's `PSEHead`.
"""

from __future__ import annotations

from typing import ClassVar

from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D, relu


class PSEHead(nn.Layer):
    """Maps of the text and of ever smaller kernels of it.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).
        hidden_dim: channels between its two convolutions.
        out_channels: number of maps: the text and its kernels, from the largest to the smallest.

    `forward(features [N, in_channels, H/4, W/4])` gives `{"maps": [N, out_channels, H/4, W/4]}`: logits, in training
    and evaluation alike.
    """

    needs_targets = False
    output: ClassVar[str] = "maps"

    def __init__(self, in_channels: int, hidden_dim: int = 256, out_channels: int = 7) -> None:
        super().__init__()
        if out_channels < 2:
            raise ValueError(f"out_channels: expected 2 or more, the text and its kernels, got {out_channels}")
        self.conv1 = Conv2D(in_channels, hidden_dim, 3, padding=1)
        self.bn1 = nn.BatchNorm2D(hidden_dim)
        self.conv2 = Conv2D(hidden_dim, out_channels, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"maps": self.conv2(relu(self.bn1(self.conv1(x))))}
