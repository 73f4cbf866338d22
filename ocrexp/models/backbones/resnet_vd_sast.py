"""SAST's backbone (Wang et al., arXiv 1908.05498): ResNet50-vd with a fifth stage, at stride 64.

Names and shapes of the parameters are those of PaddleOCR's `ResNet_SAST`, which works with 50 layers only.
"""

from __future__ import annotations

from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.models.backbones.resnet_vd import Bottleneck, ResNetVd, run_stages

_BLOCKS = 3  # of the fifth stage


class ResNetVdSAST(ResNetVd):
    """ResNet50-vd, a fifth stage, and the maps in front of its stages.

    Args:
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives seven maps with `out_channels`: the images, the stem at stride 2, and
    the stages at strides 4, 8, 16, 32, 64; H and W should be multiples of 32 (at stride 64 they are rounded up).
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(50, in_channels)
        *_, last = self.out_channels
        width = last // Bottleneck.expansion
        self._stages.append(
            [
                self.add_sublayer(f"bb_4_{index}", Bottleneck(last, width, 2 if index == 0 else 1, index == 0))
                for index in range(_BLOCKS)
            ]
        )
        self.out_channels = [in_channels, 64, *self.out_channels, last]

    def forward(self, x: Tensor) -> list[Tensor]:
        stem = self.conv1_3(self.conv1_2(self.conv1_1(x)))
        pooled = F.max_pool2d(stem, kernel_size=3, stride=2, padding=1)
        return [x, stem, *run_stages(pooled, self._stages, range(len(self._stages)))]
