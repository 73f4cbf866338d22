"""Context blocks for the levels of DB's feature pyramids.

Names and shapes of the parameters are those of PaddleOCR's `IntraCLBlock`.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddle import Tensor, nn

from ocrexp.models.layers import Conv2D, relu


class IntraCLBlock(nn.Layer):
    """Long-range context inside a text: sums of square, vertical and horizontal kernels of falling size, added to the
    input (I3CL, Du et al., arXiv 2108.01343)."""

    def __init__(self, channels: int, reduce_factor: int = 2) -> None:
        super().__init__()
        inner = channels // reduce_factor
        self.conv1x1_reduce_channel = Conv2D(channels, inner, 1)
        self.conv1x1_return_channel = Conv2D(inner, channels, 1)
        for name, shape in (
            ("v_layer_{0}x1", lambda size: (size, 1)),
            ("q_layer_1x{0}", lambda size: (1, size)),
            ("c_layer_{0}x{0}", lambda size: (size, size)),
        ):
            for size in (7, 5, 3):
                height, width = shape(size)
                conv = Conv2D(inner, inner, (height, width), padding=(height // 2, width // 2))
                self.add_sublayer(name.format(size), conv)
        self.bn = nn.BatchNorm2D(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1x1_reduce_channel(x)
        for size in (7, 5, 3):
            names = (f"c_layer_{size}x{size}", f"v_layer_{size}x1", f"q_layer_1x{size}")
            square, vertical, horizontal = (getattr(self, name)(y) for name in names)
            y = square + vertical + horizontal
        return x + relu(self.bn(self.conv1x1_return_channel(y)))


def add_blocks(neck: nn.Layer, channels: int) -> None:
    """Gives a neck the layers `incl1` to `incl4` for its levels of `channels`; the model's `intracl`.

    Raises ValueError for channels of the joined map that the blocks cannot halve.
    """
    if channels % 2:
        raise ValueError(f"out_channels: expected a multiple of 8 with intracl, got {4 * channels}")
    for number in range(1, 5):
        neck.add_sublayer(f"incl{number}", IntraCLBlock(channels))


def with_context(neck: nn.Layer, levels: Sequence[Tensor]) -> list[Tensor]:
    """Each level, the finest first, through its block; the coarsest runs first, as in PaddleOCR."""
    return [getattr(neck, f"incl{number}")(levels[number - 1]) for number in (4, 3, 2, 1)][::-1]
