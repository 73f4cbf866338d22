"""ResNet-vd (He et al., arXiv 1812.01187, variant D): three 3×3 convolutions as stem, average pooling in shortcuts.

Names and shapes of the parameters are those of PaddleOCR's `det_resnet_vd`, those of its deformable convolutions too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.deformable import DeformableConv2D
from ocrexp.models.layers import Stride, half_padded_conv, relu

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
CHANNELS = (64, 128, 256, 512)


class PoolConvBN(nn.Layer):
    """Optional average pooling by `pool`, convolution without bias, batch norm, optional ReLU.

    With `deformable` above 0 the convolution is a deformable one of that many groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: Stride = 1,
        pool: Stride | None = None,
        relu: bool = False,
        deformable: int = 0,
    ) -> None:
        super().__init__()
        self._conv: nn.Layer
        if deformable:
            assert isinstance(stride, int)
            self._conv = DeformableConv2D(in_channels, out_channels, kernel_size, stride, deformable)
        else:
            self._conv = half_padded_conv(in_channels, out_channels, kernel_size, stride)
        self._batch_norm = nn.BatchNorm2D(out_channels)
        self._pool = pool
        self._relu = relu

    def forward(self, x: Tensor) -> Tensor:
        if self._pool is not None:
            x = F.avg_pool2d(x, kernel_size=self._pool, stride=self._pool, ceil_mode=True)
        x = self._batch_norm(self._conv(x))
        return relu(x) if self._relu else x


def _shortcut(in_channels: int, out_channels: int, stride: Stride, pooled: bool) -> PoolConvBN:
    if pooled:
        return PoolConvBN(in_channels, out_channels, 1, pool=None if stride == 1 else stride)
    return PoolConvBN(in_channels, out_channels, 1, stride=stride)


class BasicBlock(nn.Layer):
    """Two 3×3 convolutions (18 and 34 layers); the shortcut as in `Bottleneck`."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: Stride, project: bool, pooled: bool = True) -> None:
        super().__init__()
        self.conv0 = PoolConvBN(in_channels, channels, 3, stride=stride, relu=True)
        self.conv1 = PoolConvBN(channels, channels, 3)
        self.short = _shortcut(in_channels, channels, stride, pooled) if project else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.conv0(x))
        return relu(y + (x if self.short is None else self.short(x)))


class Bottleneck(nn.Layer):
    """1×1, 3×3 (which carries the stride) and 1×1 convolution (50 layers and more).

    The 3×3 convolution is a deformable one of `deformable` groups, if that is not 0. The shortcut is pooled by the
    stride, or (`pooled=False`, the plain ResNet) skips pixels.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: Stride,
        project: bool,
        pooled: bool = True,
        deformable: int = 0,
    ) -> None:
        super().__init__()
        self.conv0 = PoolConvBN(in_channels, channels, 1, relu=True)
        self.conv1 = PoolConvBN(channels, channels, 3, stride=stride, relu=True, deformable=deformable)
        self.conv2 = PoolConvBN(channels, channels * 4, 1)
        self.short = _shortcut(in_channels, channels * 4, stride, pooled) if project else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(self.conv0(x)))
        return relu(y + (x if self.short is None else self.short(x)))


def check_stages(layers: int, dcn_stage: Sequence[bool], out_indices: Sequence[int]) -> None:
    """Raises ValueError for a depth, deformable stages or maps that a detector's ResNet does not have."""
    if layers not in DEPTHS:
        raise ValueError(f"layers: expected one of {', '.join(map(str, DEPTHS))}, got {layers}")
    if len(dcn_stage) != 4:
        raise ValueError(f"dcn_stage: expected four values, one for each stage, got {list(dcn_stage)}")
    if any(dcn_stage) and layers < 50:
        raise ValueError(f"dcn_stage: expected layers=50 or more for deformable stages, got layers={layers}")
    if not out_indices or list(out_indices) != sorted(set(out_indices) & set(range(4))):
        raise ValueError(f"out_indices: expected some of [0,1,2,3] in this order, got {list(out_indices)}")


class ResNetVd(nn.Layer):
    """ResNet-vd without its classifier.

    Args:
        layers: 18, 34, 50, 101 or 152.
        in_channels: channels of the image.
        dcn_stage: for each of the four stages, whether its 3×3 convolutions are deformable (two groups); 50 layers and
            more.
        out_indices: the stages whose maps it gives.

    `forward(images [N, in_channels, H, W])` gives maps with `out_channels` at strides 4, 8, 16, 32 (those of
    `out_indices`); H and W should be multiples of 32.
    """

    def __init__(
        self,
        layers: int = 50,
        in_channels: int = 3,
        dcn_stage: Sequence[bool] = (False, False, False, False),
        out_indices: Sequence[int] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        check_stages(layers, dcn_stage, out_indices)
        self._out_indices = tuple(out_indices)
        self.conv1_1 = PoolConvBN(in_channels, 32, 3, stride=2, relu=True)
        self.conv1_2 = PoolConvBN(32, 32, 3, relu=True)
        self.conv1_3 = PoolConvBN(32, 64, 3, relu=True)
        groups = [2 if deformable else 0 for deformable in dcn_stage]
        self._stages, widths = add_stages(self, layers, groups, lambda stage, index: f"bb_{stage}_{index}")
        self.out_channels = [widths[stage] for stage in out_indices]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv1_3(self.conv1_2(self.conv1_1(x)))
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        return run_stages(x, self._stages, self._out_indices)


def add_stages(
    network: nn.Layer,
    layers: int,
    deformable: Sequence[int],
    name: Callable[[int, int], str],
    pooled: bool = True,
) -> tuple[list[list[nn.Layer]], list[int]]:
    """Adds the blocks of the four stages behind a stem of 64 channels; the blocks and the channels of each stage.

    Args:
        network: gets the blocks as sublayers.
        layers: one of DEPTHS.
        deformable: for each stage, groups of its deformable convolutions; 0: they are ordinary ones.
        name: of a block, from its stage and its index in the stage.
        pooled: see `Bottleneck`.
    """
    stages: list[list[nn.Layer]] = []
    widths: list[int] = []
    channels = 64
    for stage, (depth, width) in enumerate(zip(DEPTHS[layers], CHANNELS, strict=True)):
        blocks: list[nn.Layer] = []
        for index in range(depth):
            stride = 2 if index == 0 and stage > 0 else 1
            if layers >= 50:
                layer: nn.Layer = Bottleneck(channels, width, stride, index == 0, pooled, deformable[stage])
                channels = width * Bottleneck.expansion
            else:
                layer = BasicBlock(channels, width, stride, index == 0, pooled)
                channels = width * BasicBlock.expansion
            blocks.append(network.add_sublayer(name(stage, index), layer))
        stages.append(blocks)
        widths.append(channels)
    return stages, widths


def run_stages(x: Tensor, stages: Sequence[Sequence[nn.Layer]], out_indices: Sequence[int]) -> list[Tensor]:
    """Maps of the stages `out_indices`."""
    features = []
    for index, blocks in enumerate(stages):
        for block in blocks:
            x = block(x)
        if index in out_indices:
            features.append(x)
    return features
