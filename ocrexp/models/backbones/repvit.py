"""RepViT (Wang et al., arXiv 2307.09283) in the two sizes that PaddleOCR has: the backbone of RepSVTR, and of a DB
detector. Its branches and batch norms fuse into single convolutions for inference.

Names and shapes of the parameters are those of PaddleOCR's `rec_repvit`.
"""

from __future__ import annotations

from typing import NamedTuple

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.fusable import FusableConvBN, RepDWConv
from ocrexp.models.layers import GELU, Stride, make_divisible, relu


class _Stage(NamedTuple):
    """Blocks of one width: the first one changes channels and size where `stride` is not 1; `squeeze_excite` names
    those with attention."""

    channels: int
    blocks: int
    stride: Stride
    squeeze_excite: tuple[int, ...]


_REC_STAGES = (_Stage(96, 3, 1, (0,)), _Stage(192, 7, (2, 1), (1, 3, 5)), _Stage(384, 3, (2, 1), (1,)))
_DET_STAGES = (_Stage(48, 2, 1, (0,)), _Stage(96, 3, 2, (1,)), _Stage(192, 5, 2, (1, 3)), _Stage(384, 3, 2, (1,)))


class _ConvBN(FusableConvBN):
    """The same under RepViT's name of the convolution, `c`."""

    _name = "c"


class _SqueezeExcite(nn.Layer):
    """Channel attention: global mean → 1×1 conv, ReLU → 1×1 conv, sigmoid → scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = make_divisible(channels / 4)
        self.fc1 = nn.Conv2D(channels, hidden, 1)
        self.fc2 = nn.Conv2D(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))
        return x * F.sigmoid(self.fc2(gate))


class _Residual(nn.Layer):
    """x + m(x)."""

    def __init__(self, m: nn.Layer) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        return x + self.m(x)


class RepViTBlock(nn.Layer):
    """Token mixer (depthwise convolution, optional channel attention, a 1×1 convolution where channels or size change),
    then channel mixer (1×1 to twice the channels, GELU, 1×1) with a shortcut; its last norm begins at 0."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: Stride, squeeze_excite: bool, fused: bool = False
    ) -> None:
        super().__init__()
        attention = _SqueezeExcite(in_channels) if squeeze_excite else nn.Identity()
        if stride == 1:
            mixer: list[nn.Layer] = [RepDWConv(in_channels, 3, fused, bias=True, conv_bn=_ConvBN), attention]
        else:
            depthwise = _ConvBN(in_channels, in_channels, 3, stride, groups=in_channels, fused=fused)
            mixer = [depthwise, attention, _ConvBN(in_channels, out_channels, fused=fused)]
        self.token_mixer = nn.Sequential(*mixer)
        hidden = 2 * out_channels
        widen = _ConvBN(out_channels, hidden, fused=fused)
        narrow = _ConvBN(hidden, out_channels, gamma=0.0, fused=fused)
        self.channel_mixer = _Residual(nn.Sequential(widen, GELU(), narrow))

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_mixer(self.token_mixer(x))


class RepViT(nn.Layer):
    """RepViT for recognition or detection.

    Args:
        det: four maps for a detector; false: one map of height 1 for a recognizer.
        in_channels: channels of the image.
        fused: one convolution with bias in place of branches and batch norms, as PaddleOCR 3.7 exports it. For
            fine-tuning: a random start learns badly without norms.

    `forward(images [N, in_channels, H, W])` gives, with `det`, four maps with `out_channels` at strides 4, 8, 16, 32
    (H and W should be multiples of 32), else [N, out_channels, 1, W / 8].
    """

    def __init__(self, det: bool = False, in_channels: int = 3, fused: bool = False) -> None:
        super().__init__()
        rows = _DET_STAGES if det else _REC_STAGES
        channels = rows[0].channels
        self.features = nn.LayerList(
            [
                nn.Sequential(
                    _ConvBN(in_channels, channels // 2, 3, 2, fused=fused),
                    GELU(),
                    _ConvBN(channels // 2, channels, 3, 2, fused=fused),
                )
            ]
        )
        self._ends: list[int] = []  # the last layer of each stage
        for row in rows:
            for number in range(row.blocks):
                stride = row.stride if number == 0 else 1
                attends = number in row.squeeze_excite
                self.features.append(RepViTBlock(channels, row.channels, stride, attends, fused))
                channels = row.channels
            self._ends.append(len(self.features) - 1)
        self._det = det
        self.out_channels: int | list[int] = [row.channels for row in rows] if det else channels

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        maps = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self._ends:
                maps.append(x)
        return maps if self._det else F.avg_pool2d(x, kernel_size=[x.shape[2], 2])
