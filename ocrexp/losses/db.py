"""The loss of DB: shrink map, threshold map and binary map (Liao et al., arXiv 1911.08947)."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor

from ocrexp.losses.maps import (
    binary_cross_entropy,
    dice_loss,
    focal_loss,
    masked_l1_loss,
    masked_mean,
    mine_hard_negatives,
)

MAIN_LOSSES = ("DiceLoss", "BCELoss", "MaskL1Loss", "DiceFocalLoss")


class DBLoss:
    """alpha · (shrink map) + beta · (threshold map) + (binary map).

    The threshold map is compared by the mean absolute difference over its mask, the binary map by Dice. The loss of the
    shrink map is `main_loss_type`:

    - `DiceLoss`: Dice over the whole batch.
    - `BCELoss`: binary cross entropy; with `balance_loss` over the positives and the `ohem_ratio` times as many hardest
      negatives, else over the whole mask.
    - `MaskL1Loss`: mean absolute difference over the mask.
    - `DiceFocalLoss`: Dice plus focal loss (gamma 2, alpha 0.25; mined like BCELoss with `balance_loss`).

    Equal to PaddleOCR 2.10 wherever that is well defined; different on purpose in these cases:

    - PaddleOCR multiplies Dice and MaskL1Loss, which are one number each, by pixel counts and divides by the same
      counts: `balance_loss` does nothing there but turn a batch without text into loss 0. Here it acts on per-pixel
      losses alone, and Dice of a batch without text is 1, as without balance (its gradient is 0 in both).
    - With balance and BCELoss, PaddleOCR gives loss 0 to a batch without text; here all its negatives count.
    - Without balance, PaddleOCR's BCELoss ignores the mask and returns a map; here it is the mean over the mask.
    - PaddleOCR 2.10 has no DiceFocalLoss.

    Args:
        balance_loss: mine hard negatives for the per-pixel losses.
        main_loss_type: one of `MAIN_LOSSES`.
        alpha: weight of the shrink map.
        beta: weight of the threshold map.
        ohem_ratio: negatives for each positive pixel when balancing.
        eps: keeps denominators above 0.

    Calling it with the model's outputs (`maps` [N, 3, H, W]) and a batch (`shrink_map`, `shrink_mask`,
    `threshold_map`, `threshold_mask`, each [N, H, W], any dtype) gives the scalars `loss`, `loss_shrink`,
    `loss_threshold`, `loss_binary` (weighted: the parts add up to `loss`). Computed in float32 also under AMP; nothing
    is read back from the device.
    """

    def __init__(
        self,
        balance_loss: bool = True,
        main_loss_type: str = "DiceLoss",
        alpha: float = 5,
        beta: float = 10,
        ohem_ratio: float = 3,
        eps: float = 1e-6,
    ) -> None:
        if main_loss_type not in MAIN_LOSSES:
            raise ValueError(f"main_loss_type={main_loss_type}: choose one of {', '.join(MAIN_LOSSES)}")
        if ohem_ratio <= 0:
            raise ValueError(f"ohem_ratio={ohem_ratio}: must be above 0")
        self.balance_loss = balance_loss
        self.main_loss_type = main_loss_type
        self.alpha = alpha
        self.beta = beta
        self.ohem_ratio = ohem_ratio
        self.eps = eps

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            shrink, threshold, binary = outputs["maps"].astype("float32").unbind(axis=1)
            shrink_map, shrink_mask, threshold_map, threshold_mask = (
                batch[name].astype("float32")
                for name in ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")
            )
            loss_shrink = self.alpha * self._main_loss(shrink, shrink_map, shrink_mask)
            loss_threshold = self.beta * masked_l1_loss(threshold, threshold_map, threshold_mask, self.eps)
            loss_binary = dice_loss(binary, shrink_map, shrink_mask, self.eps)
            return {
                "loss": loss_shrink + loss_threshold + loss_binary,
                "loss_shrink": loss_shrink,
                "loss_threshold": loss_threshold,
                "loss_binary": loss_binary,
            }

    def _main_loss(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        if self.main_loss_type == "DiceLoss":
            return dice_loss(prediction, target, mask, self.eps)
        if self.main_loss_type == "MaskL1Loss":
            return masked_l1_loss(prediction, target, mask, self.eps)
        if self.main_loss_type == "BCELoss":
            return self._reduce(binary_cross_entropy(prediction, target), target, mask)
        focal = self._reduce(focal_loss(prediction, target), target, mask)
        return dice_loss(prediction, target, mask, self.eps) + focal

    def _reduce(self, loss: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        if self.balance_loss:
            return mine_hard_negatives(loss, target, mask, self.ohem_ratio, self.eps)
        return masked_mean(loss, mask, self.eps)
