"""EAST's merging branch (Zhou et al., arXiv 1704.03155, section 3.2): from stride 32 up to one map at stride 4.

Names and shapes of the parameters are those of PaddleOCR's `EASTFPN`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import ConvBN, relu

# Channels by PaddleOCR's names of the sizes.
CHANNELS = {"small": 64, "large": 128}


def check_model_name(model_name: str) -> None:
    """Raises ValueError for a name of no size."""
    if model_name not in CHANNELS:
        raise ValueError(f"model_name: expected one of {', '.join(CHANNELS)}, got {model_name}")


class DoublingConvBN(nn.Layer):
    """Transposed 4×4 convolution of stride 2 without bias, batch norm, and ReLU unless `activate` is False."""

    def __init__(self, in_channels: int, out_channels: int, activate: bool = True) -> None:
        super().__init__()
        self.deconv = nn.Conv2DTranspose(in_channels, out_channels, 4, stride=2, padding=1, bias_attr=False)
        self.bn = nn.BatchNorm2D(out_channels)
        self._activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.deconv(x))
        return relu(x) if self._activate else x


class EASTFPN(nn.Layer):
    """Doubles the coarsest map, joins the next one, mixes both, and so on up to stride 4.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        model_name: `small` (64 channels) or `large` (128).

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H/4, W/4].
    """

    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], model_name: str = "small") -> None:
        super().__init__()
        if len(in_channels) != 4:
            raise ValueError(f"EASTFPN joins 4 feature maps, the backbone gives {len(in_channels)}; choose another")
        check_model_name(model_name)
        self.out_channels = channels = CHANNELS[model_name]
        c2, c3, c4, c5 = in_channels
        self.h1_conv = ConvBN(channels + c4, channels, 3)
        self.h2_conv = ConvBN(channels + c3, channels, 3)
        self.h3_conv = ConvBN(channels + c2, channels, 3)
        self.g0_deconv = DoublingConvBN(c5, channels)
        self.g1_deconv = DoublingConvBN(channels, channels)
        self.g2_deconv = DoublingConvBN(channels, channels)
        self.g3_conv = ConvBN(channels, channels, 3)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        c2, c3, c4, c5 = features
        x = self.h1_conv(paddle.concat([self.g0_deconv(c5), c4], axis=1))
        x = self.h2_conv(paddle.concat([self.g1_deconv(x), c3], axis=1))
        x = self.h3_conv(paddle.concat([self.g2_deconv(x), c2], axis=1))
        return self.g3_conv(x)
