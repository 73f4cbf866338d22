"""Necks of PP-OCRv3 to v6 that mix a map's positions by attention before it becomes a sequence.

Names and shapes of the parameters are those of PaddleOCR's `SequenceEncoder`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.attention import MixerBlock
from ocrexp.models.layers import Conv2D, initialize_transformer
from ocrexp.models.necks.sequence import as_sequence


class SVTREncoder(nn.Layer):
    """The light SVTR neck of PP-OCRv3 and v4 (Li et al., arXiv 2206.03001; PaddleOCR's encoder_type `svtr`).

    Args:
        in_channels: channels of the map (the model fills this in).
        dims: channels given on.
        depth: global mixing blocks.
        hidden_dims: channels of the blocks.
        num_heads: heads of the blocks.
        mlp_ratio: hidden channels of the blocks' MLPs over channels.
        drop_rate: dropout after projections.
        attn_drop_rate: dropout of the attention's weights.
        drop_path: stochastic depth.
        kernel_size: of the first and the last convolution (height, width).
        use_guide: the backbone gets no gradient from here: the guide head alone trains it.

    `forward(map [N, C, 1, W])` gives [N, W, dims].
    """

    def __init__(
        self,
        in_channels: int,
        dims: int = 64,
        depth: int = 2,
        hidden_dims: int = 120,
        num_heads: int = 8,
        mlp_ratio: float = 2.0,
        drop_rate: float = 0.1,
        attn_drop_rate: float = 0.1,
        drop_path: float = 0.0,
        kernel_size: Sequence[int] = (3, 3),
        use_guide: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = _SVTR(
            in_channels,
            dims,
            hidden_dims,
            list(kernel_size),
            _blocks(depth, hidden_dims, num_heads, mlp_ratio, drop_rate, attn_drop_rate, drop_path),
        )
        self._detached = use_guide
        self.out_channels = dims

    def forward(self, x: Tensor) -> Tensor:
        return as_sequence(self.encoder(x.detach() if self._detached else x))


class _SVTR(nn.Layer):
    def __init__(
        self, in_channels: int, dims: int, hidden_dims: int, kernel_size: list[int], blocks: list[nn.Layer]
    ) -> None:
        super().__init__()
        self.conv1 = ConvBNSwish(in_channels, in_channels // 8, kernel_size)
        self.conv2 = ConvBNSwish(in_channels // 8, hidden_dims, [1, 1])
        self.svtr_block = nn.LayerList(blocks)
        self.norm = nn.LayerNorm(hidden_dims, epsilon=1e-6)
        self.conv3 = ConvBNSwish(hidden_dims, in_channels, [1, 1])
        self.conv4 = ConvBNSwish(2 * in_channels, in_channels // 8, kernel_size)
        self.conv1x1 = ConvBNSwish(in_channels // 8, dims, [1, 1])
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv2(self.conv1(x))
        z = _mixed(z, self.svtr_block, self.norm)
        z = self.conv3(z)
        return self.conv1x1(self.conv4(paddle.concat([x, z], axis=1)))


class LightSVTREncoder(nn.Layer):
    """PP-OCRv6's neck: context by a wide depthwise convolution and global mixing, and a 1×1 convolution added at the
    end (PaddleOCR's encoder_type `lightsvtr`).

    Args:
        in_channels: channels of the map (the model fills this in).
        dims: channels of the blocks, and given on.
        depth: global mixing blocks.
        num_heads: heads of the blocks.
        mlp_ratio: hidden channels of the blocks' MLPs over channels.
        drop_rate: dropout after projections.
        attn_drop_rate: dropout of the attention's weights.
        drop_path: stochastic depth.
        local_kernel: width of the depthwise convolution.
        use_guide: the backbone gets no gradient from here: the guide head alone trains it.

    `forward(map [N, C, 1, W])` gives [N, W, dims].
    """

    def __init__(
        self,
        in_channels: int,
        dims: int = 64,
        depth: int = 1,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.1,
        attn_drop_rate: float = 0.1,
        drop_path: float = 0.0,
        local_kernel: int = 7,
        use_guide: bool = False,
    ) -> None:
        super().__init__()
        blocks = _blocks(depth, dims, num_heads, mlp_ratio, drop_rate, attn_drop_rate, drop_path)
        self.encoder = _LightSVTR(in_channels, dims, local_kernel, blocks)
        self._detached = use_guide
        self.out_channels = dims

    def forward(self, x: Tensor) -> Tensor:
        return as_sequence(self.encoder(x.detach() if self._detached else x))


class _LightSVTR(nn.Layer):
    def __init__(self, in_channels: int, dims: int, local_kernel: int, blocks: list[nn.Layer]) -> None:
        super().__init__()
        self.conv_reduce = ConvBNSwish(in_channels, dims, [1, 1])
        weight = paddle.ParamAttr(initializer=nn.initializer.KaimingNormal())
        kernel, padding = [1, local_kernel], [0, local_kernel // 2]
        self.local_conv = nn.Sequential(
            Conv2D(dims, dims, kernel, padding=padding, groups=dims, weight_attr=weight, bias_attr=False),
            nn.BatchNorm2D(dims),
            nn.Swish(),
        )
        self.svtr_block = nn.LayerList(blocks)
        self.norm = nn.LayerNorm(dims, epsilon=1e-6)
        self.skip_conv = ConvBNSwish(in_channels, dims, [1, 1])
        initialize_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        skip, z = self.skip_conv(x), self.conv_reduce(x)
        z = z + self.local_conv(z)
        z = _mixed(z, self.svtr_block, self.norm)
        return z + skip


class ConvBNSwish(nn.Layer):
    """Convolution without bias, batch norm, swish."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: list[int]) -> None:
        super().__init__()
        self.conv = Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            padding=[side // 2 for side in kernel_size],
            weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingUniform()),
            bias_attr=False,
        )
        self.norm = nn.BatchNorm2D(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.swish(self.norm(self.conv(x)))


def _blocks(
    depth: int, channels: int, num_heads: int, mlp_ratio: float, drop: float, attn_drop: float, drop_path: float
) -> list[nn.Layer]:
    """The global mixing blocks of both necks."""
    return [
        MixerBlock(
            channels,
            num_heads,
            mlp_ratio=mlp_ratio,
            drop=drop,
            attn_drop=attn_drop,
            drop_path=drop_path,
            activation=F.swish,
            epsilon=1e-5,
        )
        for _ in range(depth)
    ]


def _mixed(x: Tensor, blocks: Iterable[nn.Layer], norm: nn.Layer) -> Tensor:
    """The map [N, C, H, W] after blocks and a norm that take its positions as a sequence."""
    channels, height, width = x.shape[1:]
    x = x.flatten(2).transpose([0, 2, 1])
    for block in blocks:
        x = block(x)
    return norm(x).transpose([0, 2, 1]).reshape([0, channels, height, width])
