"""DB's head of PP-OCRv4's and v5's server detectors: a second shrink map, refined at full resolution.

Names and shapes of the parameters are those of PaddleOCR's `PFHeadLocal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import paddle
from paddle import Tensor, nn

from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.heads.db import MapBranch, binarized, probability
from ocrexp.models.layers import Conv2D, ConvBN, full_precision, nearest_upsample


class Refinement(nn.Layer):
    """A map [N, 1, H, W] from a first one and features [N, C, H/2, W/2] of it, by two convolutions at full size."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.last_3 = ConvBN(in_channels + 1, channels, 3)
        self.last_1 = Conv2D(channels, 1, 1)

    def forward(self, features: Tensor, first: Tensor) -> Tensor:
        features = nearest_upsample(features, 2)
        return probability(self.last_1(self.last_3(paddle.concat([first.astype(features.dtype), features], axis=1))))


class PFHeadLocal(nn.Layer):
    """DB's head whose shrink map is refined: the refinement learns as the shrink map, the first one by binarization.

    Args:
        in_channels: channels of the neck's map, at stride 4 (the model fills this in).
        k: steepness of the binarization 1 / (1 + exp(-k (shrink - threshold))).
        kernel_list: kernel sizes of the convolution and of the two transposed convolutions (stride 2, no padding).
        mode: width of the refinement: `large` has a quarter of `in_channels`, `small` an eighth.

    `forward(features [N, in_channels, H/4, W/4])` gives `{"maps": …}`: in training [N, 3, H, W] (refined shrink map,
    threshold, binarization of the first shrink map), in evaluation [N, 1, H, W], the mean of both shrink maps, all in
    0..1, float32 in mixed precision too. PaddleOCR's loss counts the binarization twice, once as `loss_cbn`:
    `loss=db_cbn`.
    """

    needs_targets = False
    output: ClassVar[str] = "maps"

    def __init__(
        self,
        in_channels: int,
        k: float = 50,
        kernel_list: Sequence[int] = (3, 2, 2),
        mode: Literal["small", "large"] = "large",
    ) -> None:
        super().__init__()
        if len(kernel_list) != 3:
            raise ValueError(f"kernel_list: expected three sizes, such as [3,2,2], got {list(kernel_list)}")
        if mode not in ("small", "large"):
            raise ValueError(f"mode: expected small or large, got {mode}")
        self.k = float(k)
        self._kernel_size = kernel_list[0]
        self.binarize = MapBranch(in_channels, kernel_list)
        self.thresh = MapBranch(in_channels, kernel_list)
        self.cbn_layer = Refinement(in_channels // 4, in_channels // (4 if mode == "large" else 8))

    @property
    def takes_levels_apart(self) -> bool:
        """Whether the neck may leave its coarser levels at half size."""
        return self._kernel_size == 3

    def forward(self, x: Tensor | TwoLevels) -> dict[str, Tensor]:
        first, features = self.binarize.with_features(x)
        refined = self.cbn_layer(features, first)
        with full_precision():
            if not self.training:
                return {"maps": 0.5 * (first + refined)}
        threshold = self.thresh(x)
        with full_precision():
            return {"maps": paddle.concat([refined, threshold, binarized(first, threshold, self.k)], axis=1)}

    def drop_training_branches(self) -> None:
        """Leaves the two shrink maps' branches, which are all that evaluation uses."""
        del self.thresh
