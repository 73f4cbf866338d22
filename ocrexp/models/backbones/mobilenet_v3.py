"""MobileNetV3 (Howard et al., arXiv 1905.02244) as detection uses it: four feature maps at strides 4, 8, 16, 32.

Names and shapes of the parameters are those of PaddleOCR's `det_mobilenet_v3`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import SqueezeExcite, Stride, half_padded_conv, make_divisible, relu


class BlockSpec(NamedTuple):
    """One row of the paper's tables 1 and 2, at scale 1."""

    kernel_size: int
    expanded: int
    channels: int
    squeeze_excite: bool
    activation: Literal["relu", "hardswish"]
    stride: Stride


_LARGE = (
    BlockSpec(3, 16, 16, False, "relu", 1),
    BlockSpec(3, 64, 24, False, "relu", 2),
    BlockSpec(3, 72, 24, False, "relu", 1),
    BlockSpec(5, 72, 40, True, "relu", 2),
    BlockSpec(5, 120, 40, True, "relu", 1),
    BlockSpec(5, 120, 40, True, "relu", 1),
    BlockSpec(3, 240, 80, False, "hardswish", 2),
    BlockSpec(3, 200, 80, False, "hardswish", 1),
    BlockSpec(3, 184, 80, False, "hardswish", 1),
    BlockSpec(3, 184, 80, False, "hardswish", 1),
    BlockSpec(3, 480, 112, True, "hardswish", 1),
    BlockSpec(3, 672, 112, True, "hardswish", 1),
    BlockSpec(5, 672, 160, True, "hardswish", 2),
    BlockSpec(5, 960, 160, True, "hardswish", 1),
    BlockSpec(5, 960, 160, True, "hardswish", 1),
)
_SMALL = (
    BlockSpec(3, 16, 16, True, "relu", 2),
    BlockSpec(3, 72, 24, False, "relu", 2),
    BlockSpec(3, 88, 24, False, "relu", 1),
    BlockSpec(5, 96, 40, True, "hardswish", 2),
    BlockSpec(5, 240, 40, True, "hardswish", 1),
    BlockSpec(5, 240, 40, True, "hardswish", 1),
    BlockSpec(5, 120, 48, True, "hardswish", 1),
    BlockSpec(5, 144, 48, True, "hardswish", 1),
    BlockSpec(5, 288, 96, True, "hardswish", 2),
    BlockSpec(5, 576, 96, True, "hardswish", 1),
    BlockSpec(5, 576, 96, True, "hardswish", 1),
)
STEM_CHANNELS = 16
LAST_CHANNELS = {"large": 960, "small": 576}
BLOCKS = {"large": _LARGE, "small": _SMALL}


class ConvBNAct(nn.Layer):
    """Convolution without bias, batch norm, activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: Stride = 1,
        groups: int = 1,
        activation: Literal["relu", "hardswish"] | None = None,
    ) -> None:
        super().__init__()
        self.conv = half_padded_conv(in_channels, out_channels, kernel_size, stride, groups)
        self.bn = nn.BatchNorm2D(out_channels)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        if self._activation == "relu":
            return relu(x)
        if self._activation == "hardswish":
            return F.hardswish(x)
        return x


class InvertedResidual(nn.Layer):
    """Expansion, depthwise convolution, channel attention, linear projection; a shortcut where shapes allow."""

    def __init__(
        self, in_channels: int, out_channels: int, expanded: int, block: BlockSpec, squeeze_excite: bool
    ) -> None:
        super().__init__()
        self._shortcut = block.stride == 1 and in_channels == out_channels
        self.expand_conv = ConvBNAct(in_channels, expanded, 1, activation=block.activation)
        self.bottleneck_conv = ConvBNAct(
            expanded, expanded, block.kernel_size, stride=block.stride, groups=expanded, activation=block.activation
        )
        self.mid_se = SqueezeExcite(expanded) if squeeze_excite else None
        self.linear_conv = ConvBNAct(expanded, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bottleneck_conv(self.expand_conv(x))
        if self.mid_se is not None:
            y = self.mid_se(y)
        y = self.linear_conv(y)
        return x + y if self._shortcut else y


class MobileNetV3(nn.Layer):
    """MobileNetV3 without its classifier.

    Args:
        model_name: `large` or `small`.
        scale: width multiplier; channels are rounded to multiples of 8.
        disable_se: omit the squeeze-and-excite blocks, as PP-OCR's mobile detectors do.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives four maps with `out_channels` at strides 4, 8, 16, 32; H and W should
    be multiples of 32.
    """

    def __init__(
        self,
        model_name: Literal["large", "small"] = "large",
        scale: float = 0.5,
        disable_se: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if model_name not in BLOCKS:
            raise ValueError(f"model_name: expected large or small, got {model_name}")
        if scale <= 0:
            raise ValueError(f"scale: expected a number above 0, got {scale}")
        channels = make_divisible(STEM_CHANNELS * scale)
        self.conv = ConvBNAct(in_channels, channels, 3, stride=2, activation="hardswish")
        self.out_channels: list[int] = []
        self._stages: list[nn.Layer] = []
        stage: list[nn.Layer] = []
        stride = 2
        for block in BLOCKS[model_name]:
            if block.stride == 2 and stride >= 4:
                self._add_stage(stage, channels)
                stage = []
            assert isinstance(block.stride, int)
            stride *= block.stride
            out_channels = make_divisible(scale * block.channels)
            stage.append(
                InvertedResidual(
                    channels,
                    out_channels,
                    make_divisible(scale * block.expanded),
                    block,
                    squeeze_excite=block.squeeze_excite and not disable_se,
                )
            )
            channels = out_channels
        last = make_divisible(scale * LAST_CHANNELS[model_name])
        stage.append(ConvBNAct(channels, last, 1, activation="hardswish"))
        self._add_stage(stage, last)

    def _add_stage(self, layers: list[nn.Layer], channels: int) -> None:
        stage = nn.Sequential(*layers)
        self.add_sublayer(f"stage{len(self.out_channels)}", stage)
        self._stages.append(stage)
        self.out_channels.append(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv(x)
        features = []
        for stage in self._stages:
            x = stage(x)
            features.append(x)
        return features

    def imagenet_names(self) -> dict[str, str]:
        """Names of layers in PaddleClas's ImageNet files (`conv1`, `conv2` …, `last_second_conv`) to names here."""
        names = {"conv1": "conv"}
        number = 2
        for index, stage in enumerate(self._stages):
            for position, layer in enumerate(stage):
                if isinstance(layer, InvertedResidual):
                    names[f"conv{number}"] = f"stage{index}.{position}"
                    number += 1
                else:
                    names["last_second_conv"] = f"stage{index}.{position}"
        return names
