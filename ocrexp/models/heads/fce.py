"""The head of FCENet (Zhu et al., arXiv 2104.10442): text, text centers, and the Fourier coefficients of outlines.

Names and shapes of the parameters are those of PaddleOCR's `FCEHead`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer

from ocrexp.models.layers import Conv2D, full_precision


class FCEHead(nn.Layer):
    """Two convolutions that all levels share.

    Args:
        in_channels: channels of each level (the model fills this in).
        fourier_degree: K; an outline has 2K + 1 complex coefficients.

    `forward([three maps [N, in_channels, H/s, W/s]])` gives `level_0`, `level_1`, `level_2` [N, 4 + 2 (2K + 1), H/s,
    W/s], for regions of small, medium and large size: background and text, background and center of text (logits in
    training, probabilities in evaluation), real and imaginary parts of the coefficients -K to K in pixels of the level,
    relative to the pixel.
    """

    output: ClassVar[str] = "level_0"
    outputs: ClassVar[tuple[str, ...]] = ("level_0", "level_1", "level_2")

    def __init__(self, in_channels: int, fourier_degree: int = 5) -> None:
        super().__init__()
        if fourier_degree < 1:
            raise ValueError(f"fourier_degree: expected 1 or more, got {fourier_degree}")
        self.out_conv_cls = _conv(in_channels, 4)
        self.out_conv_reg = _conv(in_channels, 2 * (2 * fourier_degree + 1))

    def forward(self, levels: Sequence[Tensor]) -> dict[str, Tensor]:
        first, second, third = levels
        return {"level_0": self._level(first), "level_1": self._level(second), "level_2": self._level(third)}

    def _level(self, x: Tensor) -> Tensor:
        classes, coefficients = self.out_conv_cls(x), self.out_conv_reg(x)
        with full_precision():
            classes, coefficients = classes.astype("float32"), coefficients.astype("float32")
            if not self.training:
                text, center = F.softmax(classes[:, :2], axis=1), F.softmax(classes[:, 2:], axis=1)
                return paddle.concat([text, center, coefficients], axis=1)
            return paddle.concat([classes, coefficients], axis=1)


def _conv(in_channels: int, out_channels: int) -> Conv2D:
    weight = paddle.ParamAttr(initializer=initializer.Normal(0.0, 0.01))
    return Conv2D(in_channels, out_channels, 3, padding=1, weight_attr=weight)
