"""The head of CT, CentripetalText (Sheng et al., arXiv 2107.05945): text kernels and a shift of each pixel to them.

Names and shapes of the parameters are those of PaddleOCR's `CT_Head`.
"""

from __future__ import annotations

import math
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer

from ocrexp.models.layers import Conv2D, bilinear_upsample, full_precision, relu


class CTHead(nn.Layer):
    """One map of kernels and two of shifts.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).
        hidden_dim: channels between the two convolutions.

    `forward(features [N, in_channels, H/4, W/4])` gives `{"maps": …}`. In training [N, 3, H, W]: the kernels' logits,
    then the shift in x and y, in tens of pixels of the image. In evaluation [N, 3, H/4, W/4]: the kernels'
    probabilities (PaddleOCR: logits here and the probabilities as a second output), and the same shifts.
    """

    output: ClassVar[str] = "maps"

    def __init__(self, in_channels: int, hidden_dim: int = 128) -> None:
        super().__init__()
        if hidden_dim < 1:
            raise ValueError(f"hidden_dim: expected 1 or more, got {hidden_dim}")
        self.conv1 = Conv2D(in_channels, hidden_dim, 3, padding=1, weight_attr=_normal(9 * hidden_dim))
        self.bn1 = nn.BatchNorm2D(hidden_dim)
        # PaddleOCR's deviation of 0.8 gives logits of ±6, of which the loss takes the highest: beyond 10 the sigmoid
        # has no gradient left, and kernels are not learned (2 pages: loss 0.30 after 80 steps; here 0.01).
        small = paddle.ParamAttr(initializer=initializer.Normal(0.0, 0.01))
        self.conv2 = Conv2D(hidden_dim, 3, 1, weight_attr=small)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.conv2(relu(self.bn1(self.conv1(x))))
        with full_precision():
            maps = maps.astype("float32")
            if self.training:
                return {"maps": bilinear_upsample(maps, 4)}
            return {"maps": paddle.concat([F.sigmoid(maps[:, :1]), maps[:, 1:]], axis=1)}


def _normal(fan_out: int) -> paddle.ParamAttr:
    return paddle.ParamAttr(initializer=initializer.Normal(0.0, math.sqrt(2 / fan_out)))
