"""The loss of DB: shrink map, threshold map and binary map (Liao et al., arXiv 1911.08947)."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor

from ocrexp.errors import ConfigError
from ocrexp.located import option
from ocrexp.losses.maps import (
    binary_cross_entropy,
    dice_loss,
    focal_loss,
    masked_l1_loss,
    masked_mean,
    mine_hard_negatives,
)

MAIN_LOSSES = ("DiceLoss", "BCELoss", "MaskL1Loss", "DiceFocalLoss")
BINARY_LOSSES = ("DiceLoss", "DiceFocalLoss")
AUX_LEVELS = ("p4", "p3", "p2")


class DBLoss:
    """alpha · (shrink map) + beta · (threshold map) + (binary map).

    The threshold map is compared by the mean absolute difference over its mask, the binary map by `binary_loss_type`,
    DiceLoss or DiceFocalLoss. The loss of the shrink map is `main_loss_type`:

    - `DiceLoss`: Dice over the whole batch.
    - `BCELoss`: binary cross entropy; with `balance_loss` over the positives and the `ohem_ratio` times as many hardest
      negatives, else over the whole mask.
    - `MaskL1Loss`: mean absolute difference over the mask.
    - `DiceFocalLoss`: Dice plus focal loss (of the shrink map mined like BCELoss with `balance_loss`).

    Maps that a head gives for levels of its neck (`aux_maps_p4`, `aux_maps_p3`, `aux_maps_p2`) are compared with the
    same targets in the same way; the total of each counts `aux_weights` times.

    Equal to PaddleOCR 2.10 wherever that is well defined; different on purpose in these cases:

    - PaddleOCR multiplies Dice and MaskL1Loss, which are one number each, by pixel counts and divides by the same
      counts: `balance_loss` does nothing there but turn a batch without text into loss 0. Here it acts on per-pixel
      losses alone, and Dice of a batch without text is 1, as without balance (its gradient is 0 in both).
    - With balance and BCELoss, PaddleOCR gives loss 0 to a batch without text; here all its negatives count.
    - Without balance, PaddleOCR's BCELoss ignores the mask and returns a map; here it is the mean over the mask.
    - PaddleOCR 2.10 has no DiceFocalLoss. PaddleOCR 3.7's takes Dice + focal loss of shrink and binary map and mines
      nothing: `balance_loss=False`, both types DiceFocalLoss.

    Args:
        balance_loss: mine hard negatives for the per-pixel losses.
        main_loss_type: one of `MAIN_LOSSES`.
        alpha: weight of the shrink map.
        beta: weight of the threshold map.
        ohem_ratio: negatives for each positive pixel when balancing.
        eps: keeps denominators above 0.
        binary_loss_type: `DiceLoss` or `DiceFocalLoss`.
        focal_alpha: weight of text in the focal loss; background has 1 - this.
        focal_gamma: how much the focal loss turns from pixels that are right already.
        dice_weight: of Dice in DiceFocalLoss.
        focal_weight: of the focal loss in DiceFocalLoss.
        aux_weights: level (p4, p3, p2) → weight of its maps; levels that are not named have 0.

    Calling it with the model's outputs (`maps` [N, 3, H, W]) and a batch (`shrink_map`, `shrink_mask`,
    `threshold_map`, `threshold_mask`, each [N, H, W], any dtype) gives the scalars `loss`, `loss_shrink`,
    `loss_threshold`, `loss_binary` and one `loss_aux_<level>` (weighted: the parts add up to `loss`). Computed in
    float32 also under AMP; nothing is read back from the device.
    """

    def __init__(
        self,
        balance_loss: bool = True,
        main_loss_type: str = "DiceLoss",
        alpha: float = 5,
        beta: float = 10,
        ohem_ratio: float = 3,
        eps: float = 1e-6,
        binary_loss_type: str = "DiceLoss",
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        dice_weight: float = 1.0,
        focal_weight: float = 1.0,
        aux_weights: Mapping[str, float] | None = None,
    ) -> None:
        if main_loss_type not in MAIN_LOSSES:
            raise ValueError(f"main_loss_type: expected one of {', '.join(MAIN_LOSSES)}, got {main_loss_type}")
        if binary_loss_type not in BINARY_LOSSES:
            raise ValueError(f"binary_loss_type: expected one of {', '.join(BINARY_LOSSES)}, got {binary_loss_type}")
        if ohem_ratio <= 0:
            raise ValueError(f"ohem_ratio: expected a number above 0, got {ohem_ratio}")
        weights = dict(aux_weights or {})
        for level, weight in weights.items():
            if level not in AUX_LEVELS:
                raise ValueError(f"aux_weights.{level}: unknown level; expected {', '.join(AUX_LEVELS)}")
            if weight < 0:
                raise ValueError(f"aux_weights.{level}: expected 0 or more, got {weight}")
        self.balance_loss = balance_loss
        self.main_loss_type = main_loss_type
        self.binary_loss_type = binary_loss_type
        self.alpha = alpha
        self.beta = beta
        self.ohem_ratio = ohem_ratio
        self.eps = eps
        self.focal = {"gamma": focal_gamma, "alpha": focal_alpha}
        self.dice_weight, self.focal_weight = dice_weight, focal_weight
        self.aux_weights = {level: float(weight) for level, weight in weights.items() if weight > 0}

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            targets = tuple(
                batch[name].astype("float32")
                for name in ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")
            )
            parts = dict(zip(("shrink", "threshold", "binary"), self._parts(outputs["maps"], targets), strict=True))
            for level, weight in self.aux_weights.items():
                name = f"aux_maps_{level}"
                if name not in outputs:
                    key = option(self, "aux_weights")
                    raise ConfigError(
                        f"{key}.{level}={weight:g}: the model gives no {name}; set aux=true of its head or "
                        f"{key}.{level}=0"
                    )
                shrink, threshold, binary = self._parts(outputs[name], targets)
                parts[f"aux_{level}"] = weight * (shrink + threshold + binary)
            total, *rest = parts.values()
            return {"loss": sum(rest, start=total), **{f"loss_{name}": value for name, value in parts.items()}}

    def _parts(self, maps: Tensor, targets: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """The weighted losses of shrink, threshold and binary map."""
        shrink, threshold, binary = maps.astype("float32").unbind(axis=1)
        shrink_map, shrink_mask, threshold_map, threshold_mask = targets
        return (
            self.alpha * self._main_loss(shrink, shrink_map, shrink_mask),
            self.beta * masked_l1_loss(threshold, threshold_map, threshold_mask, self.eps),
            self._binary_loss(binary, shrink_map, shrink_mask),
        )

    def _main_loss(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        if self.main_loss_type == "DiceLoss":
            return dice_loss(prediction, target, mask, self.eps)
        if self.main_loss_type == "MaskL1Loss":
            return masked_l1_loss(prediction, target, mask, self.eps)
        if self.main_loss_type == "BCELoss":
            return self._reduce(binary_cross_entropy(prediction, target), target, mask)
        focal = self._reduce(focal_loss(prediction, target, **self.focal), target, mask)
        return self._dice_and(focal, prediction, target, mask)

    def _binary_loss(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        if self.binary_loss_type == "DiceLoss":
            return dice_loss(prediction, target, mask, self.eps)
        focal = masked_mean(focal_loss(prediction, target, **self.focal), mask, self.eps)
        return self._dice_and(focal, prediction, target, mask)

    def _dice_and(self, focal: Tensor, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.dice_weight * dice_loss(prediction, target, mask, self.eps) + self.focal_weight * focal

    def _reduce(self, loss: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        if self.balance_loss:
            return mine_hard_negatives(loss, target, mask, self.ohem_ratio, self.eps)
        return masked_mean(loss, mask, self.eps)
