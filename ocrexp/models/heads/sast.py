"""The head of SAST (Wang et al., arXiv 1908.05498): center lines of text, and offsets from them to its outline.

Names and shapes of the parameters are those of PaddleOCR's `SASTHead`.
"""

from __future__ import annotations

from typing import ClassVar

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import ConvBN, full_precision


class SASTHead(nn.Layer):
    """Four branches of four convolutions.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).

    `forward(features [N, in_channels, H/4, W/4])` gives, in training and evaluation alike, in pixels of the maps:
    `f_score` [N, 1, H/4, W/4], the probability of a text's center line; `f_border` [N, 4, …], y and x from the pixel to
    the upper and to the lower side of the text; `f_tvo` [N, 8, …], x and y of the pixel minus those of the four
    corners; `f_tco` [N, 2, …], x and y of the pixel minus those of the center. All are float32 in mixed precision too.
    """

    needs_targets = False
    output: ClassVar[str] = "f_score"
    outputs = ("f_score", "f_border", "f_tvo", "f_tco")

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.head1 = _Branches(in_channels, {"score_conv": 1, "border_conv": 4})
        self.head2 = _Branches(in_channels, {"tvo_conv": 8, "tco_conv": 2})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        score, border = self.head1(x)
        tvo, tco = self.head2(x)
        with full_precision():
            return {
                "f_score": F.sigmoid(score.astype("float32")),
                "f_border": border.astype("float32"),
                "f_tvo": tvo.astype("float32"),
                "f_tco": tco.astype("float32"),
            }


class _Branches(nn.Layer):
    """Several branches on one map, by their names and numbers of channels."""

    def __init__(self, in_channels: int, channels: dict[str, int]) -> None:
        super().__init__()
        self._branches = [
            self.add_sublayer(
                name,
                nn.Sequential(
                    ConvBN(in_channels, 64, 1),
                    ConvBN(64, 64, 3),
                    ConvBN(64, 128, 1),
                    ConvBN(128, count, 3, activate=False),
                ),
            )
            for name, count in channels.items()
        ]

    def forward(self, x: Tensor) -> list[Tensor]:
        return [branch(x) for branch in self._branches]
