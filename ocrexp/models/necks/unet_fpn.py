"""The neck of DRRG (Zhang et al., arXiv 2003.07493): a U-Net from stride 32 up to the image's size.

Names and shapes of the parameters are those of PaddleOCR's `FPN_UNet`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D, relu

_WIDEST = 256


class UpBlock(nn.Layer):
    """1×1 and 3×3 convolution, each with ReLU, and a transposed one that doubles the map; with biases."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1x1 = Conv2D(in_channels, in_channels, 1)
        self.conv3x3 = Conv2D(in_channels, out_channels, 3, padding=1)
        self.deconv = nn.Conv2DTranspose(out_channels, out_channels, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(relu(self.conv3x3(relu(self.conv1x1(x)))))


class UNetFPN(nn.Layer):
    """Doubles the coarsest map and joins the next one, up to stride 4, then doubles twice.

    Args:
        in_channels: channels of the backbone's maps at strides 4, 8, 16, 32 (the model fills this in).
        out_channels: channels of the result; twice as many at each coarser stride, up to 256.

    `forward([c2, c3, c4, c5])` gives [N, out_channels, H, W], of the image's size.
    """

    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], out_channels: int = 32) -> None:
        super().__init__()
        if len(in_channels) != 4:
            raise ValueError(f"UNetFPN joins 4 feature maps, the backbone gives {len(in_channels)}; choose another")
        if out_channels < 1:
            raise ValueError(f"out_channels: expected 1 or more, got {out_channels}")
        self.out_channels = out_channels
        widths = [min(out_channels * 2**level, _WIDEST) for level in range(4)]  # behind strides 4, 8, 16, 32
        c2, c3, c4, c5 = in_channels
        self.up4 = nn.Conv2DTranspose(c5, widths[3], 4, stride=2, padding=1)
        self.up_block3 = UpBlock(c4 + widths[3], widths[2])
        self.up_block2 = UpBlock(c3 + widths[2], widths[1])
        self.up_block1 = UpBlock(c2 + widths[1], widths[0])
        self.up_block0 = UpBlock(widths[0], out_channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        c2, c3, c4, c5 = features
        x = relu(self.up4(c5))
        x = relu(self.up_block3(paddle.concat([x, c4], axis=1)))
        x = relu(self.up_block2(paddle.concat([x, c3], axis=1)))
        x = relu(self.up_block1(paddle.concat([x, c2], axis=1)))
        return self.up_block0(x)
