"""ResNet (He et al., arXiv 1512.03385) for detectors: a 7×7 stem; the 3×3 convolution of a bottleneck has its stride.

Names and shapes of the parameters are those of PaddleOCR's `det_resnet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.backbones.resnet_vd import PoolConvBN, add_stages, check_stages, run_stages


class ResNet(nn.Layer):
    """ResNet without its classifier.

    Args:
        layers: 18, 34, 50, 101 or 152.
        in_channels: channels of the image.
        dcn_stage: for each of the four stages, whether its 3×3 convolutions are deformable; 50 layers and more.
        out_indices: the stages whose maps it gives.

    `forward(images [N, in_channels, H, W])` gives maps with `out_channels` at strides 4, 8, 16, 32 (those of
    `out_indices`); H and W should be multiples of 32.
    """

    def __init__(
        self,
        layers: int = 50,
        in_channels: int = 3,
        dcn_stage: Sequence[bool] = (False, False, False, False),
        out_indices: Sequence[int] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        check_stages(layers, dcn_stage, out_indices)
        self._out_indices = tuple(out_indices)
        self.conv = PoolConvBN(in_channels, 64, 7, stride=2, relu=True)
        groups = [int(deformable) for deformable in dcn_stage]
        self._stages, widths = add_stages(self, layers, groups, partial(_block_name, layers), pooled=False)
        self.out_channels = [widths[stage] for stage in out_indices]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(self.conv(x), kernel_size=3, stride=2, padding=1)
        return run_stages(x, self._stages, self._out_indices)


def _block_name(layers: int, stage: int, index: int) -> str:
    """PaddleOCR's: letters, but numbers in the long third stage of 101 and 152 layers."""
    if layers > 50 and stage == 2:
        return "res4a" if index == 0 else f"res4b{index}"
    return f"res{stage + 2}{chr(ord('a') + index)}"
