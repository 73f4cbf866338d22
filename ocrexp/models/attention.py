"""Blocks of vision transformers (Dosovitskiy et al., arXiv 2010.11929) that several recognizers share.

Names and shapes of the parameters are those of PaddleOCR's SVTR and ViT blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.layers import DropPath, gelu

Activation = Callable[[Tensor], Tensor]
Mixer = Literal["Global", "Local", "Conv"]


class Mlp(nn.Layer):
    """Two linear layers with an activation between and dropout after each."""

    def __init__(self, channels: int, hidden: int, activation: Activation = gelu, drop: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.drop = nn.Dropout(drop)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self._activation(self.fc1(x)))
        return self.drop(self.fc2(x))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    drop: nn.Dropout,
    scale: float | None = None,
) -> Tensor:
    """Attention of several heads: `query` [N, heads, L, C], `key` and `value` [N, heads, M, C] to [N, L, heads · C].

    `mask` is added to the scores, which are multiplied by `scale` (None: one over the root of C) before; `drop` is
    applied to the weights.
    """
    scores = paddle.matmul(query, key, transpose_y=True) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = scores + mask
    return paddle.matmul(drop(F.softmax(scores, axis=-1)), value).transpose([0, 2, 1, 3]).flatten(2)


class Attention(nn.Layer):
    """Multi-head self-attention over [N, L, channels].

    With `window` (height, width, kernel height, kernel width) a position of the height × width map sees only the
    others within the kernel around it (SVTR's local mixing).
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        qkv_bias: bool = True,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        window: tuple[int, int, int, int] | None = None,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ConfigError(f"num_heads: expected a divisor of the {channels} channels, got {num_heads}")
        self._heads = num_heads
        self._head_channels = channels // num_heads
        self.qkv = nn.Linear(channels, channels * 3, bias_attr=None if qkv_bias else False)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(channels, channels)
        self.proj_drop = nn.Dropout(proj_drop)
        mask = None if window is None else paddle.to_tensor(_window_mask(*window))
        self.register_buffer("_mask", mask, persistable=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).reshape([0, -1, 3, self._heads, self._head_channels]).transpose([2, 0, 3, 1, 4])
        query, key, value = qkv.unbind(axis=0)
        scores = paddle.matmul(query * self._head_channels**-0.5, key, transpose_y=True)
        if self._mask is not None:
            scores = scores + self._mask
        weights = self.attn_drop(F.softmax(scores, axis=-1))
        mixed = paddle.matmul(weights, value).transpose([0, 2, 1, 3]).flatten(2)
        return self.proj_drop(self.proj(mixed))


def _window_mask(height: int, width: int, kernel_height: int, kernel_width: int) -> np.ndarray:
    """[height · width, height · width]: 0 if the column's position is in the window around the row's, else -inf."""
    y, x = (axis.reshape(-1) for axis in np.mgrid[:height, :width])
    near = (np.abs(y[:, None] - y) <= kernel_height // 2) & (np.abs(x[:, None] - x) <= kernel_width // 2)
    return np.where(near, 0.0, -np.inf).astype(np.float32)


class ConvMixer(nn.Layer):
    """Grouped convolution over the height × width map of [N, L, channels]."""

    def __init__(self, channels: int, groups: int, size: tuple[int, int], kernel: Sequence[int]) -> None:
        super().__init__()
        self._size = size
        self.local_mixer = nn.Conv2D(
            channels,
            channels,
            list(kernel),
            padding=[side // 2 for side in kernel],
            groups=groups,
            weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingNormal()),
        )

    def forward(self, x: Tensor) -> Tensor:
        height, width = self._size
        image = x.transpose([0, 2, 1]).reshape([0, -1, height, width])
        return self.local_mixer(image).flatten(2).transpose([0, 2, 1])


class MixerBlock(nn.Layer):
    """Mixing of positions, then an MLP, each with a shortcut and a layer norm.

    Args:
        channels: of the sequence [N, L, channels].
        num_heads: heads of the attention, groups of the convolution.
        mixer: `Global` or `Local` attention, or `Conv`; the latter two need `size`.
        local_mixer: kernel (height, width) of `Local` and `Conv`.
        size: height and width of the map that the sequence is.
        mlp_ratio: hidden channels of the MLP over channels.
        qkv_bias: the attention's first projection has a bias.
        drop: dropout after the projections.
        attn_drop: dropout of the attention's weights.
        drop_path: stochastic depth.
        activation: of the MLP.
        epsilon: of the layer norms.
        norm_after: norm(x + f(x)) in place of x + f(norm(x)).
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        mixer: Mixer = "Global",
        local_mixer: Sequence[int] = (7, 11),
        size: tuple[int, int] | None = None,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float = 0.0,
        activation: Activation = gelu,
        epsilon: float = 1e-6,
        norm_after: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, epsilon=epsilon)
        if mixer == "Conv":
            assert size is not None
            self.mixer = ConvMixer(channels, num_heads, size, local_mixer)
        elif mixer in ("Global", "Local"):
            window = None
            if mixer == "Local":
                assert size is not None
                window = (*size, local_mixer[0], local_mixer[1])
            self.mixer = Attention(channels, num_heads, qkv_bias, attn_drop, drop, window)
        else:
            raise ConfigError(f"mixer: expected Global, Local or Conv, got {mixer!r}")
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels, epsilon=epsilon)
        self.mlp = Mlp(channels, int(channels * mlp_ratio), activation, drop)
        self._norm_after = norm_after

    def forward(self, x: Tensor) -> Tensor:
        if self._norm_after:
            x = self.norm1(x + self.drop_path(self.mixer(x)))
            return self.norm2(x + self.drop_path(self.mlp(x)))
        x = x + self.drop_path(self.mixer(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Layer):
    """Image to a sequence of patches, [N, C, H, W] to [N, H · W / patch area, channels], by one convolution."""

    def __init__(self, img_size: Sequence[int], patch_size: Sequence[int], in_channels: int, channels: int) -> None:
        super().__init__()
        self._size = tuple(img_size)
        self.num_patches = (img_size[0] // patch_size[0]) * (img_size[1] // patch_size[1])
        self.proj = nn.Conv2D(in_channels, channels, list(patch_size), stride=list(patch_size))

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, self._size)
        return self.proj(x).flatten(2).transpose([0, 2, 1])


def check_size(images: Tensor, size: tuple[int, ...]) -> None:
    """Raises ConfigError if the images are not of the size that learned positions are made for."""
    height, width = images.shape[2:]
    if (height, width) != size:
        raise ConfigError(
            f"the backbone expects images of {size[0]}x{size[1]}, got {height}x{width}; "
            f"set its img_size=[{height},{width}] or the image size of the data"
        )
