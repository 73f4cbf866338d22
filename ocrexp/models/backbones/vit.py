"""Vision transformers (Dosovitskiy et al., arXiv 2010.11929) as PARSeq and ViTSTR use them.

Names and shapes of the parameters are those of PaddleOCR's `rec_vit_parseq` and `rec_vitstr`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import paddle
from paddle import Tensor, nn

from ocrexp.models.attention import Attention, MixerBlock, Mlp, PatchEmbed
from ocrexp.models.layers import DropPath, initialize_transformer

_VITSTR = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}  # channels, heads


class EncoderBlock(nn.Layer):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, channels: int, num_heads: int, mlp_ratio: float, drop: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, epsilon=1e-5)
        self.attn = Attention(channels, num_heads, proj_drop=drop)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels, epsilon=1e-5)
        self.mlp = Mlp(channels, int(channels * mlp_ratio), drop=drop)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class ViTParseQ(nn.Layer):
    """PARSeq's encoder (Bautista and Atienza, arXiv 2207.06966).

    Args:
        img_size: height and width of the images: positions are learned, so no other size fits.
        patch_size: height and width of a patch.
        embed_dim: channels.
        depth: blocks.
        num_heads: heads of the attentions.
        mlp_ratio: hidden channels of the MLPs over channels.
        drop_rate: dropout after projections and of the patches.
        drop_path_rate: stochastic depth of the last block, growing linearly from 0.
        in_channels: channels of the image.

    `forward(images [N, in_channels, *img_size])` gives the sequence [N, patches, embed_dim].
    """

    def __init__(
        self,
        img_size: Sequence[int] = (32, 128),
        patch_size: Sequence[int] = (4, 8),
        embed_dim: int = 384,
        depth: int = 12,
        num_heads: int = 6,
        mlp_ratio: float = 4,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        draw = nn.initializer.TruncatedNormal(std=0.02)
        self.image_size = (int(img_size[0]), int(img_size[1]))
        self.patch_embed = PatchEmbed(img_size, patch_size, in_channels, embed_dim)
        self.pos_embed = self.create_parameter([1, self.patch_embed.num_patches, embed_dim], default_initializer=draw)
        # PARSeq has no class token; PaddleOCR's files hold an unused one.
        self.cls_token = self.create_parameter([1, 1, embed_dim], default_initializer=nn.initializer.Constant(0.0))
        self.pos_drop = nn.Dropout(drop_rate)
        steps = max(depth - 1, 1)
        self.blocks = nn.LayerList(
            [
                EncoderBlock(embed_dim, num_heads, mlp_ratio, drop_rate, drop_path_rate * index / steps)
                for index in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(embed_dim, epsilon=1e-5)
        self.out_channels = embed_dim
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pos_drop(self.patch_embed(x) + self.pos_embed)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class ViTSTR(nn.Layer):
    """ViTSTR's encoder (Atienza, arXiv 2105.08582): the first `seqlen` outputs of a ViT are the characters.

    Args:
        img_size: height and width of the images: positions are learned, so no other size fits.
        scale: `tiny`, `small` or `base`.
        seqlen: steps given on: max_text_length + 2 (begin and end).
        patch_size: height and width of a patch.
        depth: blocks.
        mlp_ratio: hidden channels of the MLPs over channels.
        drop_rate: dropout after projections and of the patches.
        drop_path_rate: stochastic depth of the last block, growing linearly from 0.
        in_channels: channels of the image.

    `forward(images [N, in_channels, *img_size])` gives [N, channels, 1, seqlen].
    """

    def __init__(
        self,
        img_size: Sequence[int] = (224, 224),
        scale: Literal["tiny", "small", "base"] = "tiny",
        seqlen: int = 27,
        patch_size: Sequence[int] = (16, 16),
        depth: int = 12,
        mlp_ratio: float = 4,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        if scale not in _VITSTR:
            raise ValueError(f"scale: expected one of {', '.join(_VITSTR)}, got {scale}")
        channels, num_heads = _VITSTR[scale]
        draw = nn.initializer.TruncatedNormal(std=0.02)
        self.image_size = (int(img_size[0]), int(img_size[1]))
        self.patch_embed = PatchEmbed(img_size, patch_size, in_channels, channels)
        patches = self.patch_embed.num_patches
        if seqlen > patches + 1:
            raise ValueError(f"seqlen: expected up to {patches + 1} for an image of {patches} patches, got {seqlen}")
        self.pos_embed = self.create_parameter([1, patches + 1, channels], default_initializer=draw)
        self.cls_token = self.create_parameter([1, 1, channels], default_initializer=draw)
        self.pos_drop = nn.Dropout(drop_rate)
        steps = max(depth - 1, 1)
        self.blocks = nn.LayerList(
            [
                MixerBlock(
                    channels,
                    num_heads,
                    mlp_ratio=mlp_ratio,
                    drop=drop_rate,
                    drop_path=drop_path_rate * index / steps,
                )
                for index in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(channels, epsilon=1e-6)
        self._steps = seqlen
        self.out_channels = channels
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x)
        first = self.cls_token.expand([patches.shape[0], -1, -1])
        x = self.pos_drop(paddle.concat([first, patches], axis=1) + self.pos_embed)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, : self._steps].transpose([0, 2, 1]).unsqueeze(2)
