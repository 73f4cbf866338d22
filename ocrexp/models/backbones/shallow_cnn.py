"""The convolutions in front of SATRN's encoder (Lee et al., arXiv 1910.04396).

Names and shapes of the parameters are those of PaddleOCR's `rec_shallow_cnn`.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import ConvBN


class ShallowCNN(nn.Layer):
    """Two convolutions, each with batch norm, ReLU and a maximum over 2×2 pixels.

    Args:
        in_channels: channels of the image.
        hidden_dim: channels of the map, an even number.

    `forward(images [N, in_channels, H, W])` gives [N, hidden_dim, H / 4, W / 4].
    """

    def __init__(self, in_channels: int = 3, hidden_dim: int = 256) -> None:
        super().__init__()
        if hidden_dim < 2 or hidden_dim % 2:
            raise ValueError(f"hidden_dim: expected an even number, got {hidden_dim}")
        self.conv1 = ConvBN(in_channels, hidden_dim // 2, 3)
        self.conv2 = ConvBN(hidden_dim // 2, hidden_dim, 3)
        for layer in (self.conv1, self.conv2):
            nn.initializer.KaimingNormal()(layer.conv.weight)
            nn.initializer.Uniform(0, 1)(layer.bn.weight)
        self.out_channels = hidden_dim

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), kernel_size=2, stride=2)
        return F.max_pool2d(self.conv2(x), kernel_size=2, stride=2)
