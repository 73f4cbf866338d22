"""The convolutions in front of NRTR's transformer (Sheng et al., arXiv 1806.00926, "modality transform block").

Names and shapes of the parameters are those of PaddleOCR's `rec_nrtr_mtb`.
"""

from __future__ import annotations

from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D

_CHANNELS = (32, 64)


class MTB(nn.Layer):
    """Two convolutions of stride 2, each with ReLU, then batch norm.

    Args:
        img_height: height of the images; it decides the channels of the sequence.
        in_channels: channels of the image (PaddleOCR: 1, gray).

    `forward(images [N, in_channels, img_height, W])` gives the sequence [N, W / 4, 64 · img_height / 4]: a column of
    the map is a step.
    """

    def __init__(self, img_height: int = 32, in_channels: int = 1) -> None:
        super().__init__()
        self.block = nn.Sequential()
        for index, (before, after) in enumerate(zip((in_channels, *_CHANNELS), _CHANNELS, strict=False)):
            self.block.add_sublayer(f"conv_{index}", Conv2D(before, after, 3, stride=2, padding=1))
            self.block.add_sublayer(f"relu_{index}", nn.ReLU())
            self.block.add_sublayer(f"bn_{index}", nn.BatchNorm2D(after))
        self.out_channels = _CHANNELS[-1] * (img_height // 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x).transpose([0, 3, 2, 1]).flatten(2)
