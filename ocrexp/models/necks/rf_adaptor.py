"""RFL's neck (Jiang et al., arXiv 2105.06229): what counts characters and what reads them strengthen each other.

Names and shapes of the parameters are those of PaddleOCR's `RFAdaptor`.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddle import Tensor, nn

from ocrexp.models.layers import relu


class Adaptor(nn.Layer):
    """Linear layer over the channels of each column, batch norm, ReLU: [N, C, W] to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel_inter = nn.Linear(channels, channels, bias_attr=False)
        self.channel_bn = nn.BatchNorm1D(channels)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.channel_bn(self.channel_inter(x.transpose([0, 2, 1])).transpose([0, 2, 1])))


class RFAdaptor(nn.Layer):
    """RFL's neck.

    Args:
        in_channels: channels of the maps (the model fills this in).

    `forward([map of counting, map of reading])`, each [N, C, H, W], gives the features of counting [N, H · W, C] and of
    reading [N, H · W, C].
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.neck_v2s = Adaptor(in_channels)
        self.neck_s2v: Adaptor | None = Adaptor(in_channels)
        self.out_channels = in_channels

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        visual, semantic = maps[0].flatten(2), maps[1].flatten(2)
        read = semantic * self.neck_v2s(visual)
        counted = visual if self.neck_s2v is None else visual + semantic * self.neck_s2v(semantic)
        return [counted.transpose([0, 2, 1]), read.transpose([0, 2, 1])]

    def drop_training_branches(self) -> None:
        """Drops what only the counts need."""
        self.neck_s2v = None
