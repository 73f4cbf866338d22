"""SVTRv2's feature rearrangement (Du et al., arXiv 2411.15858): a map of any height becomes a sequence for CTC.

Shapes are those of OpenOCR's `RCTCDecoder` without its classifier; names of parameters are our own.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.attention import MixerBlock
from ocrexp.models.layers import initialize_transformer


class FeatureRearrangement(nn.Layer):
    """Attention along each row, then from each column the rows that a learned token selects.

    Args:
        in_channels: channels of the map, a multiple of 32 (the model fills this in).

    `forward(map [N, C, H, W])` gives [N, W, C].
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels % 32:
            raise ValueError(f"the channels of the backbone must be a multiple of 32, got {in_channels}")
        self.horizontal = MixerBlock(in_channels, in_channels // 32, qkv_bias=False, epsilon=1e-5)
        self.key_value = nn.Linear(in_channels, 2 * in_channels)
        self.token = self.create_parameter([in_channels], default_initializer=nn.initializer.TruncatedNormal(std=0.02))
        self.out_channels = in_channels
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        channels, height = x.shape[1:3]
        x = self.horizontal(x.transpose([0, 2, 3, 1]).flatten(0, 1))
        # [N · H, W, C]: W first, so that only the images stay unknown in an exported graph.
        x = x.transpose([1, 0, 2]).reshape([0, -1, height, channels])
        key, value = self.key_value(x).split(2, axis=-1)
        # A product and a sum: oneDNN in paddle 3.3.1 leaves its memory in a matmul of a split tensor by one column.
        weights = F.softmax((key * self.token).sum(axis=-1, keepdim=True), axis=2)
        return (weights * value).sum(axis=2).transpose([1, 0, 2])
