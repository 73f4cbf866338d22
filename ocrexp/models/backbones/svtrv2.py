"""SVTRv2 (Du et al., arXiv 2411.15858): stages of grouped convolutions, then of global attention.

Sizes and shapes are those of OpenOCR's `SVTRv2LNConvTwo33`; names of parameters are our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import Tensor, nn

from ocrexp.models.attention import MixerBlock, Mlp
from ocrexp.models.layers import Conv2D, DropPath, Stride, gelu, initialize_transformer

_EPSILON = 1e-6
_MIXING_CONVS = 2


def _conv(in_channels: int, out_channels: int, stride: Stride = 1, groups: int = 1, bias: bool = True) -> Conv2D:
    """3×3 convolution, its start scaled by what goes out (OpenOCR's fan_out, which does not count the groups)."""
    return Conv2D(
        in_channels,
        out_channels,
        3,
        stride=stride,
        padding=1,
        groups=groups,
        weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingNormal(fan_in=9 * out_channels)),
        bias_attr=paddle.ParamAttr(initializer=nn.initializer.Constant(0.0)) if bias else False,
    )


def _mixing_convs(channels: int, groups: int) -> nn.Sequential:
    return nn.Sequential(*(_conv(channels, channels, groups=groups) for _ in range(_MIXING_CONVS)))


class StemConv(nn.Layer):
    """A convolution, batch norm, GELU."""

    def __init__(self, conv: Conv2D) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2D(conv._out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return gelu(self.norm(self.conv(x)))


class ConvBlock(nn.Layer):
    """Mixing by grouped convolutions, then an MLP, each with a shortcut and a layer norm after it."""

    def __init__(self, mixer: nn.Layer, channels: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.norm1 = nn.LayerNorm(channels, epsilon=_EPSILON)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels, epsilon=_EPSILON)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = (x + self.drop_path(self.mixer(x))).transpose([0, 2, 3, 1])
        x = self.norm1(x)
        x = self.norm2(x + self.drop_path(self.mlp(x)))
        return x.transpose([0, 3, 1, 2])


class Downsample(nn.Layer):
    """A convolution to the next stage's channels, layer norm of each position."""

    def __init__(self, conv: Conv2D) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.LayerNorm(conv._out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])


class MixingStage(nn.Layer):
    """Blocks of convolutions, blocks of global attention, and the way to the next stage."""

    def __init__(self, local: Sequence[nn.Layer], spread: Sequence[nn.Layer], downsample: nn.Layer | None) -> None:
        super().__init__()
        self.conv_blocks = nn.LayerList(local)
        self.global_blocks = nn.LayerList(spread)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.conv_blocks:
            x = block(x)
        if len(self.global_blocks):
            channels, height = x.shape[1:3]
            x = x.flatten(2).transpose([0, 2, 1])
            for block in self.global_blocks:
                x = block(x)
            x = x.transpose([0, 2, 1]).reshape([0, channels, height, -1])
        return x if self.downsample is None else self.downsample(x)


def attention_block(channels: int, num_heads: int, mlp_ratio: float, drop_path: float) -> MixerBlock:
    """Global attention and an MLP, each with a shortcut and a layer norm after it."""
    return MixerBlock(channels, num_heads, mlp_ratio=mlp_ratio, drop_path=drop_path, epsilon=_EPSILON, norm_after=True)


def check_stages(
    embed_dim: Sequence[int],
    depth: Sequence[int],
    conv_blocks: Sequence[int],
    num_heads: Sequence[int],
    strides: Sequence[Sequence[int]],
) -> None:
    """Raises ValueError if SVTRv2's stages, see the class, do not fit each other."""
    count = len(embed_dim)
    for name, values in {"depth": depth, "conv_blocks": conv_blocks, "num_heads": num_heads}.items():
        if len(values) != count:
            raise ValueError(f"{name}: expected {count} values, one per stage of embed_dim, got {list(values)}")
    if len(strides) != count - 1:
        raise ValueError(f"strides: expected {count - 1} pairs, one between two stages, got {len(strides)}")
    if any(local > blocks for local, blocks in zip(conv_blocks, depth, strict=True)):
        raise ValueError(f"conv_blocks: expected at most {list(depth)}, the blocks of depth, got {list(conv_blocks)}")
    if any(channels % heads for channels, heads in zip(embed_dim, num_heads, strict=True)):
        raise ValueError(f"num_heads: expected divisors of embed_dim {list(embed_dim)}, got {list(num_heads)}")


class SVTRv2(nn.Layer):
    """SVTRv2's backbone.

    Args:
        embed_dim: channels of the stages.
        depth: blocks of the stages.
        conv_blocks: how many of them, the first ones of each stage, mix by convolutions; the others by attention.
        num_heads: heads of the attention and groups of the convolutions of the stages.
        strides: from each stage to the next, (height, width).
        mlp_ratio: hidden channels of the MLPs over channels.
        drop_path_rate: stochastic depth of the last block, growing linearly from 0.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, H / 8, W / 4] with the strides of the paper; H and
    W should be multiples of 8 and 4. No positions are learned, so any size fits.
    """

    def __init__(
        self,
        embed_dim: Sequence[int] = (64, 128, 256),
        depth: Sequence[int] = (3, 6, 3),
        conv_blocks: Sequence[int] = (3, 3, 0),
        num_heads: Sequence[int] = (2, 4, 8),
        strides: Sequence[Sequence[int]] = ((1, 1), (2, 1)),
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.1,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_stages(embed_dim, depth, conv_blocks, num_heads, strides)
        first, count = embed_dim[0], len(embed_dim)
        self.patch_embed = nn.Sequential(
            StemConv(_conv(in_channels, first // 2, stride=2, bias=False)),
            StemConv(_conv(first // 2, first, stride=2, bias=False)),
        )
        rates = iter(np.linspace(0, drop_path_rate, sum(depth)).tolist())
        self.stages = nn.LayerList()
        for number, (channels, heads) in enumerate(zip(embed_dim, num_heads, strict=True)):
            local = conv_blocks[number]
            convs = [ConvBlock(_mixing_convs(channels, heads), channels, mlp_ratio, next(rates)) for _ in range(local)]
            mixers = [attention_block(channels, heads, mlp_ratio, next(rates)) for _ in range(depth[number] - local)]
            down = None
            if number < count - 1:
                height, width = strides[number]
                down = Downsample(_conv(channels, embed_dim[number + 1], (height, width)))
            self.stages.append(MixingStage(convs, mixers, down))
        self.out_channels = embed_dim[-1]
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for stage in self.stages:
            x = stage(x)
        return x
