"""SVTR (Du et al., arXiv 2205.00159): a line of text as patches, mixed locally, then globally, merged in height.

Names and shapes of the parameters are those of PaddleOCR's `rec_svtrnet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.attention import MixerBlock, check_size
from ocrexp.models.layers import Conv2D, gelu, initialize_transformer


class ConvBNGELU(nn.Layer):
    """3×3 convolution of stride 2 with bias, batch norm, GELU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Conv2D(
            in_channels,
            out_channels,
            3,
            stride=2,
            padding=1,
            weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingUniform()),
        )
        self.norm = nn.BatchNorm2D(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return gelu(self.norm(self.conv(x)))


class OverlappingPatches(nn.Layer):
    """Image to patches by `sub_num` convolutions of stride 2."""

    def __init__(self, in_channels: int, channels: int, sub_num: int) -> None:
        super().__init__()
        widths = [in_channels] + [channels // 2 ** (sub_num - 1 - index) for index in range(sub_num)]
        self.proj = nn.Sequential(*(ConvBNGELU(a, b) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose([0, 2, 1])


class Merging(nn.Layer):
    """Halves the height of the map [N, C, H, W] and gives the sequence [N, H · W / 2, out_channels]."""

    def __init__(self, in_channels: int, out_channels: int, kind: Literal["Conv", "Pool"]) -> None:
        super().__init__()
        self._kind = kind
        if kind == "Conv":
            self.conv = Conv2D(
                in_channels,
                out_channels,
                3,
                stride=(2, 1),
                padding=1,
                weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingNormal()),
            )
        else:
            self.proj = nn.Linear(in_channels, out_channels)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self._kind == "Conv":
            return self.norm(self.conv(x).flatten(2).transpose([0, 2, 1]))
        mean = F.avg_pool2d(x, kernel_size=[3, 5], stride=[2, 1], padding=[1, 2])
        peak = F.max_pool2d(x, kernel_size=[3, 5], stride=[2, 1], padding=[1, 2])
        return self.norm(self.proj(((mean + peak) * 0.5).flatten(2).transpose([0, 2, 1])))


class SVTRNet(nn.Layer):
    """SVTR's backbone of three stages.

    Args:
        img_size: height and width of the images: positions are learned, so no other size fits.
        embed_dim: channels of the stages.
        depth: blocks of the stages.
        num_heads: heads of the stages.
        mixer: of each block, `Local`, `Global` or `Conv`; as many as blocks.
        local_mixer: kernels (height, width) of the local mixing of the stages.
        patch_merging: `Conv`, `Pool`, or null: the height stays.
        mlp_ratio: hidden channels of the MLPs over channels.
        qkv_bias: the attentions' first projections have biases.
        drop_rate: dropout after projections and of the patches.
        last_drop: dropout at the end (scaled in evaluation, as PaddleOCR).
        attn_drop_rate: dropout of the attention's weights.
        drop_path_rate: stochastic depth of the last block, growing linearly from 0.
        epsilon: of the layer norms.
        out_channels: channels at the end.
        out_char_num: steps at the end.
        last_stage: pool to [1, out_char_num] and project to out_channels; false: the sequence as it is.
        sub_num: convolutions of stride 2 that make the patches.
        prenorm: PaddleOCR's name: true gives norm(x + f(x)), false x + f(norm(x)) with a norm at the end.
        in_channels: channels of the image.

    `forward(images [N, in_channels, *img_size])` gives [N, out_channels, 1, out_char_num].
    """

    def __init__(
        self,
        img_size: Sequence[int] = (32, 100),
        embed_dim: Sequence[int] = (64, 128, 256),
        depth: Sequence[int] = (3, 6, 3),
        num_heads: Sequence[int] = (2, 4, 8),
        mixer: Sequence[str] = ("Local",) * 6 + ("Global",) * 6,
        local_mixer: Sequence[Sequence[int]] = ((7, 11), (7, 11), (7, 11)),
        patch_merging: Literal["Conv", "Pool"] | None = "Conv",
        mlp_ratio: float = 4,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        last_drop: float = 0.1,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        epsilon: float = 1e-6,
        out_channels: int = 192,
        out_char_num: int = 25,
        last_stage: bool = True,
        sub_num: int = 2,
        prenorm: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(mixer) != sum(depth):
            raise ValueError(f"mixer: expected {sum(depth)} mixers, one per block of depth, got {len(mixer)}")
        if patch_merging not in ("Conv", "Pool", None):
            raise ValueError(f"patch_merging: expected Conv, Pool or null, got {patch_merging}")
        factor = 2**sub_num * (4 if patch_merging else 1)
        if img_size[0] % factor or img_size[1] % 2**sub_num:
            raise ValueError(
                f"img_size: expected a height that is a multiple of {factor}, and a width of {2**sub_num}, "
                f"got {list(img_size)}"
            )
        self.image_size = (int(img_size[0]), int(img_size[1]))
        self.patch_embed = OverlappingPatches(in_channels, embed_dim[0], sub_num)
        height, width = img_size[0] // 2**sub_num, img_size[1] // 2**sub_num
        self.pos_embed = self.create_parameter(
            [1, height * width, embed_dim[0]], default_initializer=nn.initializer.TruncatedNormal(std=0.02)
        )
        self.pos_drop = nn.Dropout(drop_rate)
        drop_paths = np.linspace(0, drop_path_rate, sum(depth))
        self._sizes: list[tuple[int, int]] = []
        first = 0
        for stage in range(3):
            self._sizes.append((height, width))
            blocks = [
                MixerBlock(
                    embed_dim[stage],
                    num_heads[stage],
                    mixer[index],  # type: ignore[arg-type]  # MixerBlock checks the name
                    local_mixer[stage],
                    (height, width),
                    mlp_ratio,
                    qkv_bias,
                    drop_rate,
                    attn_drop_rate,
                    float(drop_paths[index]),
                    epsilon=epsilon,
                    norm_after=prenorm,
                )
                for index in range(first, first + depth[stage])
            ]
            self.add_sublayer(f"blocks{stage + 1}", nn.LayerList(blocks))
            first += depth[stage]
            if stage < 2 and patch_merging is not None:
                merging = Merging(embed_dim[stage], embed_dim[stage + 1], patch_merging)
                self.add_sublayer(f"sub_sample{stage + 1}", merging)
                height //= 2
        self._merges = patch_merging is not None
        self._last_stage = last_stage
        self._steps = out_char_num
        self.out_channels = out_channels if last_stage else embed_dim[2]
        if last_stage:
            self.last_conv = Conv2D(embed_dim[2], out_channels, 1, bias_attr=False)
            self.dropout = nn.Dropout(last_drop, mode="downscale_in_infer")
        self.norm = None if prenorm else nn.LayerNorm(embed_dim[2], epsilon=epsilon)
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, self.image_size)
        x = self.pos_drop(self.patch_embed(x) + self.pos_embed)
        for stage in range(3):
            for block in getattr(self, f"blocks{stage + 1}"):
                x = block(x)
            if stage < 2 and self._merges:
                x = getattr(self, f"sub_sample{stage + 1}")(_as_map(x, self._sizes[stage]))
        if self.norm is not None:
            x = self.norm(x)
        if not self._last_stage:
            return x.transpose([0, 2, 1]).unsqueeze(2)
        x = F.adaptive_avg_pool2d(_as_map(x, self._sizes[2]), [1, self._steps])
        return self.dropout(F.hardswish(self.last_conv(x)))


def _as_map(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x.transpose([0, 2, 1]).reshape([0, -1, *size])
