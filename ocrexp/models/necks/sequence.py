"""From a map of height 1 to a sequence, and what is done to it before the head.

Names and shapes of the parameters are those of PaddleOCR's `SequenceEncoder`.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.attention import MixerBlock
from ocrexp.models.heads.ctc import uniform_attr
from ocrexp.models.layers import Conv2D, initialize_transformer


def as_sequence(x: Tensor) -> Tensor:
    """[N, C, 1, W] to [N, W, C]; raises ConfigError if the map is higher than 1."""
    if x.shape[2] != 1:
        raise ConfigError(
            f"the backbone gives maps of height {x.shape[2]}, but a sequence needs 1; use its standard image "
            "height (32; 48 for PP-OCRv3 and v4)"
        )
    return x.squeeze(2).transpose([0, 2, 1])


class Reshape(nn.Layer):
    """The map's columns as a sequence, nothing more (PaddleOCR's encoder_type `reshape`).

    `forward(map [N, C, 1, W])` gives [N, W, C].
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        return as_sequence(x)


class RNNEncoder(nn.Layer):
    """Two bidirectional LSTM layers of CRNN (Shi et al., arXiv 1507.05717; PaddleOCR's encoder_type `rnn`).

    Args:
        in_channels: channels of the map (the model fills this in).
        hidden_size: units of each direction.

    `forward(map [N, C, 1, W])` gives [N, W, 2 · hidden_size].
    """

    def __init__(self, in_channels: int, hidden_size: int = 96) -> None:
        super().__init__()
        self.encoder = _RNN(in_channels, hidden_size)
        self.out_channels = hidden_size * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(as_sequence(x))


class _RNN(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_channels, hidden_size, num_layers=2, direction="bidirectional")

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class CascadeRNNEncoder(nn.Layer):
    """Bidirectional LSTM layers, each with a linear layer after it (PaddleOCR's encoder_type `cascadernn`).

    Args:
        in_channels: channels of the map (the model fills this in).
        hidden_size: units of each direction.
        out_channels: channels after each layer; as many as layers.

    `forward(map [N, C, 1, W])` gives [N, W, last of out_channels].
    """

    def __init__(self, in_channels: int, hidden_size: int = 256, out_channels: Sequence[int] = (256, 512)) -> None:
        super().__init__()
        if not out_channels:
            raise ValueError("out_channels: expected the channels of at least one layer, got none")
        self.encoder = _Cascade(in_channels, hidden_size, out_channels)
        self.out_channels = int(out_channels[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(as_sequence(x))


class _Cascade(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        before = [in_channels, *widths[:-1]]
        self.encoder = nn.LayerList([_LSTMLinear(a, hidden_size, b) for a, b in zip(before, widths, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.encoder:
            x = layer(x)
        return x


class _LSTMLinear(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int, out_channels: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(in_channels, hidden_size, direction="bidirectional")
        self.linear = nn.Linear(hidden_size * 2, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.rnn(x)[0])


class FCEncoder(nn.Layer):
    """A linear layer for each step (PaddleOCR's encoder_type `fc`).

    Args:
        in_channels: channels of the map (the model fills this in).
        hidden_size: channels given on.

    `forward(map [N, C, 1, W])` gives [N, W, hidden_size].
    """

    def __init__(self, in_channels: int, hidden_size: int = 96) -> None:
        super().__init__()
        self.encoder = _FC(in_channels, hidden_size)
        self.out_channels = hidden_size

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(as_sequence(x))


class _FC(nn.Layer):
    def __init__(self, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        attr = uniform_attr(in_channels, decay=1e-5)
        self.fc = nn.Linear(in_channels, hidden_size, weight_attr=attr, bias_attr=attr)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


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
            [
                MixerBlock(
                    hidden_dims,
                    num_heads,
                    mlp_ratio=mlp_ratio,
                    drop=drop_rate,
                    attn_drop=attn_drop_rate,
                    drop_path=drop_path,
                    activation=F.swish,
                    epsilon=1e-5,
                )
                for _ in range(depth)
            ],
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
        channels, height, width = z.shape[1:]
        z = z.flatten(2).transpose([0, 2, 1])
        for block in self.svtr_block:
            z = block(z)
        z = self.norm(z).transpose([0, 2, 1]).reshape([0, channels, height, width])
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
        blocks = [
            MixerBlock(
                dims,
                num_heads,
                mlp_ratio=mlp_ratio,
                drop=drop_rate,
                attn_drop=attn_drop_rate,
                drop_path=drop_path,
                activation=F.swish,
                epsilon=1e-5,
            )
            for _ in range(depth)
        ]
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
        channels, height, width = z.shape[1:]
        z = z.flatten(2).transpose([0, 2, 1])
        for block in self.svtr_block:
            z = block(z)
        z = self.norm(z).transpose([0, 2, 1]).reshape([0, channels, height, width])
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
