"""EAST's loss: score and geometry (Zhou et al., arXiv 1704.03155, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor

from ocrexp.losses.maps import dice_loss


class EASTLoss:
    """score_weight · Dice of the score + smooth L1 of the corner distances, divided by the region's shorter side.

    A difference d counts d² below a pixel, |d| - 1/2 above it, as in PaddleOCR; the mean is over all pixels of the
    maps.

    Args:
        score_weight: weight of the score.
        masked_geometry: do not learn the geometry where `training_mask` is 0. PaddleOCR learns that of illegible
            regions and of regions that are too small.
        eps: keeps denominators above 0.

    Calling it with the model's outputs (`f_score`, `f_geo`) and a batch (`score_map`, `training_mask` [N, 1, h, w],
    `geo_map` [N, 9, h, w], any dtype) gives the scalars `loss`, `loss_score` and `loss_geometry`.
    """

    def __init__(self, score_weight: float = 0.01, masked_geometry: bool = True, eps: float = 1e-6) -> None:
        if score_weight < 0:
            raise ValueError(f"score_weight: expected 0 or more, got {score_weight}")
        self.score_weight = score_weight
        self.masked_geometry = masked_geometry
        self.eps = eps

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            score, geometry, mask = (
                batch[name].astype("float32") for name in ("score_map", "geo_map", "training_mask")
            )
            found = outputs["f_score"].astype("float32")
            of_score = self.score_weight * dice_loss(found, score, mask, self.eps)
            difference = (geometry[:, :8] - outputs["f_geo"].astype("float32")).abs()
            smooth = paddle.where(difference < score, difference * difference, difference - 0.5)
            weight = geometry[:, 8:] / 8 * score * score
            if self.masked_geometry:
                weight = weight * mask
            of_geometry = (smooth.sum(axis=1, keepdim=True) * weight).mean()
            return {"loss": of_score + of_geometry, "loss_score": of_score, "loss_geometry": of_geometry}
