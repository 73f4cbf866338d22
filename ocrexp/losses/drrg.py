"""The loss of DRRG (Zhang et al., arXiv 2003.07493, section 3.6): maps of text, its geometry, and links."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F

_NEGATIVES = 100  # of a batch without text
_EPS = 1e-5


class DRRGLoss:
    """Text with hard negatives + its center + heights + directions + links, equal weights; equal to PaddleOCR's.

    Directions and heights are learned at centers of text; heights as shares of the true ones, those of high text count
    more. A batch whose pixels are all text has no loss of the center's background, where PaddleOCR divides by 0.

    Args:
        ohem_ratio: negatives for each pixel of text, the hardest first.

    Calling it with the model's outputs (see `DRRGHead`) and a batch (`gt_text`, `gt_center`, `mask` [N, H, W],
    `gt_geometry` [N, 4, H, W], see `DRRGTargets`) gives the scalars `loss`, `loss_text`, `loss_center`, `loss_height`,
    `loss_sin`, `loss_cos`, `loss_gcn`. Computed in float32 also under AMP; nothing is read back from the device.
    """

    def __init__(self, ohem_ratio: float = 3.0) -> None:
        if ohem_ratio <= 0:
            raise ValueError(f"ohem_ratio: expected a number above 0, got {ohem_ratio}")
        self.ohem_ratio = ohem_ratio

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            maps = outputs["maps"].astype("float32")
            text, center, counted, geometry = (
                batch[name].astype("float32") for name in ("gt_text", "gt_center", "mask", "gt_geometry")
            )
            some, none = text * counted, (1 - text) * counted
            of_center = _cross_entropy(maps[:, 1], center)
            learned = center * counted
            losses = {
                "loss_text": self._text_loss(_cross_entropy(maps[:, 0], text), some, none),
                "loss_center": _mean(of_center, some) + 0.5 * _mean(of_center, none),
                "loss_height": _mean(_height_loss(maps[:, 4:], geometry[:, :2]), learned),
            }
            directions = maps[:, 2:4]
            directions = directions * (1 / (directions.square().sum(axis=1, keepdim=True) + 1e-8)).sqrt()
            apart = F.smooth_l1_loss(directions, geometry[:, 2:], reduction="none")
            losses |= {"loss_sin": _mean(apart[:, 0], learned), "loss_cos": _mean(apart[:, 1], learned)}
            losses["loss_gcn"] = F.cross_entropy(outputs["links"].astype("float32"), outputs["linked"].astype("int64"))
            return {"loss": sum(losses.values()), **losses}

    def _text_loss(self, loss: Tensor, some: Tensor, none: Tensor) -> Tensor:
        """Mean over text and the hardest negatives."""
        texts = some.sum()
        wanted = (texts * self.ohem_ratio).floor().minimum(none.sum())
        count = paddle.where(texts > 0, wanted, paddle.full_like(wanted, _NEGATIVES))
        hardest = (loss * none).flatten().sort(descending=True)
        chosen = (paddle.arange(hardest.shape[0], dtype="int64") < count.astype("int64")).astype("float32")
        return ((loss * some).sum() + (hardest * chosen).sum()) / (texts + count + _EPS)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _height_loss(found: Tensor, expected: Tensor) -> Tensor:
    """[N, H, W], of the distances to the upper and the lower side [N, 2, H, W]."""
    shares = found / (expected + 1e-2)
    apart = F.smooth_l1_loss(shares, paddle.ones_like(shares), reduction="none").sum(axis=1)
    return (expected.sum(axis=1) + 1).log() * apart


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of the pixels with weight 1; 0 if there is none."""
    return (values * weight).sum() / weight.sum().clip(min=1)
