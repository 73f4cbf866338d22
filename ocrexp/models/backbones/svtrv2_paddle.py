"""SVTRv2 as PaddleOCR has it (ch_SVTRv2_rec): the stages of `svtrv2`, with one 5×5 convolution in place of two 3×3, and
a map of height 1 in place of the rearrangement.

Names and shapes of the parameters are those of PaddleOCR's `rec_svtrv2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.backbones.svtrv2 import ConvBlock, Downsample, StemConv, attention_block, check_stages
from ocrexp.models.layers import Conv2D, Stride, half_padded_conv, initialize_transformer


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: Stride = 1,
    groups: int = 1,
    draw: nn.initializer.Initializer | None = None,
) -> Conv2D:
    """A convolution with bias, padded by half its size; He et al.'s normal start where `draw` is None."""
    draw = draw or nn.initializer.KaimingNormal()
    return half_padded_conv(in_channels, out_channels, kernel_size, stride, groups, draw, bias=True)


class _PatchEmbed(nn.Layer):
    """Two convolutions of stride 2: [N, in_channels, H, W] to [N, channels, H / 4, W / 4]."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        widths = (in_channels, channels // 2, channels)
        self.patch_embed = nn.Sequential(
            *(
                StemConv(_conv(width, after, stride=2, draw=nn.initializer.KaimingUniform()))
                for width, after in pairwise(widths)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.patch_embed(x)


class _ToSequence(nn.Layer):
    """[N, C, H, W] to [N, H · W, C]; a layer, because it counts in the names of the blocks after it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose([0, 2, 1])


class _Stage(nn.Layer):
    """Blocks of convolutions, blocks of global attention, and the way to the next stage, from map to map."""

    def __init__(self, local: Sequence[nn.Layer], spread: Sequence[nn.Layer], downsample: nn.Layer | None) -> None:
        super().__init__()
        between = [_ToSequence()] if local and spread else []
        self.blocks = nn.Sequential(*local, *between, *spread)
        self.downsample = downsample
        self._attention_alone, self._gives_sequence = not local, bool(spread)

    def forward(self, x: Tensor) -> Tensor:
        channels, height = x.shape[1:3]
        if self._attention_alone:
            x = x.flatten(2).transpose([0, 2, 1])
        x = self.blocks(x)
        if self._gives_sequence:
            x = x.transpose([0, 2, 1]).reshape([0, channels, height, -1])
        return x if self.downsample is None else self.downsample(x)


class PaddleSVTRv2(nn.Layer):
    """PaddleOCR's SVTRv2.

    Args:
        embed_dim: channels of the stages.
        depth: blocks of the stages.
        conv_blocks: how many of them, the first ones of each stage, mix by a convolution; the others by attention.
        num_heads: heads of the attention and groups of the convolutions of the stages.
        strides: from each stage to the next, (height, width).
        mlp_ratio: hidden channels of the MLPs over channels.
        drop_path_rate: stochastic depth of the last block, growing linearly from 0.
        in_channels: channels of the image.

    `forward(images [N, in_channels, H, W])` gives [N, out_channels, 1, W / 8] with the strides of PaddleOCR's files:
    the mean over the rows and over each two columns. No positions are learned, so any size fits.

    Raises ValueError for stages that do not fit each other.
    """

    def __init__(
        self,
        embed_dim: Sequence[int] = (128, 256, 384),
        depth: Sequence[int] = (6, 6, 6),
        conv_blocks: Sequence[int] = (6, 2, 0),
        num_heads: Sequence[int] = (4, 8, 12),
        strides: Sequence[Sequence[int]] = ((2, 1), (2, 1)),
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.1,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_stages(embed_dim, depth, conv_blocks, num_heads, strides)
        self.pope = _PatchEmbed(in_channels, embed_dim[0])
        rates = iter(np.linspace(0, drop_path_rate, sum(depth)).tolist())
        self.stages = nn.LayerList()
        for number, (channels, heads) in enumerate(zip(embed_dim, num_heads, strict=True)):
            local = conv_blocks[number]
            convs = [
                ConvBlock(_conv(channels, channels, 5, groups=heads), channels, mlp_ratio, next(rates))
                for _ in range(local)
            ]
            mixers = [attention_block(channels, heads, mlp_ratio, next(rates)) for _ in range(depth[number] - local)]
            down = None
            if number < len(embed_dim) - 1:
                height, width = strides[number]
                down = Downsample(_conv(channels, embed_dim[number + 1], stride=(height, width)))
            self.stages.append(_Stage(convs, mixers, down))
        self.out_channels = embed_dim[-1]
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pope(x)
        for stage in self.stages:
            x = stage(x)
        return F.avg_pool2d(x, kernel_size=[x.shape[2], 2])
