"""MobileNetV3 (Howard et al., arXiv 1905.02244) as recognition uses it: the height shrinks to 1, the width by 4 alone.

Names and shapes of the parameters are those of PaddleOCR's `rec_mobilenet_v3`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.backbones.mobilenet_v3 import (
    BLOCKS,
    LAST_CHANNELS,
    STEM_CHANNELS,
    ConvBNAct,
    InvertedResidual,
)
from ocrexp.models.layers import Stride, make_divisible

# The blocks that carry a stride, and how many values `large_stride` and `small_stride` have.
_STRIDED = {"large": (0, 1, 3, 12), "small": (0, 1, 3, 8)}
_STRIDES = {"large": (1, 2, 2, 2), "small": (2, 2, 2, 2)}


class RecMobileNetV3(nn.Layer):
    """MobileNetV3 without its classifier, with strides of the height alone after the stem.

    Args:
        model_name: `large` or `small`.
        scale: width multiplier; channels are rounded to multiples of 8.
        large_stride: strides of the height of the four strided blocks of `large` (null: 1, 2, 2, 2).
        small_stride: the same of `small` (null: 2, 2, 2, 2; PP-OCR's recognizers have 1, 2, 2, 2).
        disable_se: omit the squeeze-and-excite blocks.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, H / 32, W / 4] (H / 64 with strides 2, 2, 2, 2).
    """

    def __init__(
        self,
        model_name: Literal["large", "small"] = "large",
        scale: float = 0.5,
        large_stride: Sequence[int] | None = None,
        small_stride: Sequence[int] | None = None,
        disable_se: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if model_name not in BLOCKS:
            raise ValueError(f"model_name: expected large or small, got {model_name}")
        if scale <= 0:
            raise ValueError(f"scale: expected a number above 0, got {scale}")
        strides = dict(zip(_STRIDED[model_name], self._strides(model_name, large_stride, small_stride), strict=True))
        channels = make_divisible(STEM_CHANNELS * scale)
        self.conv1 = ConvBNAct(in_channels, channels, 3, stride=2, activation="hardswish")
        blocks = []
        for index, block in enumerate(BLOCKS[model_name]):
            stride: Stride = (strides[index], 1) if index in strides else 1
            # PaddleOCR states the first stride of `large` as a number and all others as pairs, and gives a shortcut
            # only to blocks whose stride is the number 1: its files hold what was learned with just these shortcuts.
            if model_name == "large" and index == 0:
                stride = strides[0]
            out_channels = make_divisible(scale * block.channels)
            expanded = make_divisible(scale * block.expanded)
            blocks.append(
                InvertedResidual(
                    channels,
                    out_channels,
                    expanded,
                    block._replace(stride=stride),
                    squeeze_excite=block.squeeze_excite and not disable_se,
                )
            )
            channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.out_channels = make_divisible(scale * LAST_CHANNELS[model_name])
        self.conv2 = ConvBNAct(channels, self.out_channels, 1, activation="hardswish")

    @staticmethod
    def _strides(model_name: str, large: Sequence[int] | None, small: Sequence[int] | None) -> Sequence[int]:
        given = large if model_name == "large" else small
        other = small if model_name == "large" else large
        if other is not None:
            raise ValueError(f"model_name={model_name} reads only {model_name}_stride; remove the other one")
        strides = _STRIDES[model_name] if given is None else given
        if len(strides) != 4:
            raise ValueError(f"{model_name}_stride: expected four strides, such as [1,2,2,2], got {list(strides)}")
        return strides

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.conv2(self.blocks(self.conv1(x))), kernel_size=2, stride=2)

    def imagenet_names(self) -> dict[str, str]:
        """Names of layers in PaddleClas's ImageNet files (`conv1`, `conv2` …, `last_second_conv`) to names here."""
        names = {f"conv{index + 2}": f"blocks.{index}" for index in range(len(self.blocks))}
        return {"conv1": "conv1"} | names | {"last_second_conv": "conv2"}
