"""The feature pyramid of FCENet and other detectors with a head per level (Lin et al., arXiv 1612.03144).

Names and shapes of the parameters are those of PaddleOCR's `FCEFPN` without its extra levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import initializer

from ocrexp.models.layers import Conv2D, nearest_upsample


class FCEFPN(nn.Layer):
    """Lateral 1×1 convolutions, top-down sums and a 3×3 convolution a level, with biases.

    Args:
        in_channels: channels of the backbone's maps; the coarsest has stride 32 (the model fills this in).
        out_channels: channels of each level.

    `forward(maps)` gives as many maps [N, out_channels, H/s, W/s], of the same strides.
    """

    size_multiple = 32

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        if not 2 <= len(in_channels) <= 4:
            raise ValueError(
                f"FCEFPN takes 2 to 4 feature maps, the backbone gives {len(in_channels)}; set its out_indices"
            )
        if out_channels < 1:
            raise ValueError(f"out_channels: expected 1 or more, got {out_channels}")
        self.out_channels = out_channels
        stages = range(6 - len(in_channels), 6)  # PaddleOCR's numbers of ResNet's stages
        self._laterals: list[nn.Layer] = []
        self._outputs: list[nn.Layer] = []
        for stage, channels in zip(stages, in_channels, strict=True):
            name = "fpn_inner_res5_sum" if stage == 5 else f"fpn_inner_res{stage}_sum_lateral"
            lateral = Conv2D(channels, out_channels, 1, weight_attr=_xavier(channels))
            self._laterals.append(self.add_sublayer(name, lateral))
        for stage in stages:
            output = Conv2D(out_channels, out_channels, 3, padding=1, weight_attr=_xavier(9 * out_channels))
            self._outputs.append(self.add_sublayer(f"fpn_res{stage}_sum", output))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sums = [self._laterals[level](maps[level]) for level in range(len(maps))]
        for level in range(len(sums) - 2, -1, -1):
            sums[level] = sums[level] + nearest_upsample(sums[level + 1], 2)
        return [self._outputs[level](sums[level]) for level in range(len(sums))]


def _xavier(fan_out: int) -> paddle.ParamAttr:
    return paddle.ParamAttr(initializer=initializer.XavierUniform(fan_out=fan_out))
