"""EAST's head: score and quadrilateral (Zhou et al., arXiv 1704.03155).

Names and shapes of the parameters are those of PaddleOCR's `EASTHead`.
"""

from __future__ import annotations

from typing import ClassVar

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import ConvBN, full_precision
from ocrexp.models.necks.east_fpn import check_model_name

CHANNELS = {"small": (64, 32), "large": (128, 64)}
FARTHEST = 800.0  # pixels from a pixel of text to a corner of its region


class EASTHead(nn.Layer):
    """Score of the text, and the distances to the four corners of its region.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).
        model_name: `small` or `large`, as the neck's.

    `forward(features [N, in_channels, H/4, W/4])` gives, in training and evaluation alike, `f_score` [N, 1, H/4, W/4]
    in 0..1 and `f_geo` [N, 8, H/4, W/4]: x and y of the pixel minus those of each corner, in pixels of the image, up to
    800. Both are float32 in mixed precision too.
    """

    needs_targets = False
    output: ClassVar[str] = "f_score"
    outputs = ("f_score", "f_geo")

    def __init__(self, in_channels: int, model_name: str = "small") -> None:
        super().__init__()
        check_model_name(model_name)
        first, second = CHANNELS[model_name]
        self.det_conv1 = ConvBN(in_channels, first, 3)
        self.det_conv2 = ConvBN(first, second, 3)
        self.score_conv = ConvBN(second, 1, 1, activate=False)
        self.geo_conv = ConvBN(second, 8, 1, activate=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.det_conv2(self.det_conv1(x))
        score, geometry = self.score_conv(x), self.geo_conv(x)
        with full_precision():
            geometry = (F.sigmoid(geometry.astype("float32")) - 0.5) * (2 * FARTHEST)
            return {"f_score": F.sigmoid(score.astype("float32")), "f_geo": geometry}
