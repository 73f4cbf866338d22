"""Losses between probability maps, with a mask of the pixels that count.

All maps have one shape, float32; predictions lie in 0..1, masks are 0 or 1. Each loss is a scalar.
"""

from __future__ import annotations

import paddle
from paddle import Tensor
from paddle.nn import functional as F


def dice_loss(prediction: Tensor, target: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """1 - Dice coefficient over the whole batch (Milletari et al., arXiv 1606.04797, without squares)."""
    masked = prediction * mask
    overlap = (masked * target).sum()
    union = masked.sum() + (target * mask).sum() + eps
    return 1 - 2 * overlap / union


def masked_l1_loss(prediction: Tensor, target: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """Mean absolute difference over the mask."""
    return masked_mean((prediction - target).abs(), mask, eps)


def binary_cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy of each pixel (a map, not a scalar)."""
    return F.binary_cross_entropy(prediction, target, reduction="none")


def focal_loss(prediction: Tensor, target: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Focal loss of each pixel (a map, not a scalar; Lin et al., arXiv 1708.02002).

    Predictions are kept 1e-6 away from 0 and 1, as in PaddleOCR 3.7: a binarization is exactly 0 or 1 in float32 where
    shrink and threshold map differ by a third, and its logarithm would outweigh all other pixels.
    """
    prediction = prediction.clip(1e-6, 1 - 1e-6)
    right = prediction * target + (1 - prediction) * (1 - target)
    weight = alpha * target + (1 - alpha) * (1 - target)
    return weight * (1 - right) ** gamma * binary_cross_entropy(prediction, target)


def masked_mean(loss: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """Mean of a loss map over the mask."""
    return (loss * mask).sum() / (mask.sum() + eps)


def mine_hard_negatives(loss: Tensor, target: Tensor, mask: Tensor, ratio: float, eps: float = 1e-6) -> Tensor:
    """Mean of a loss map over all positives and the hardest negatives, at most `ratio` times as many (OHEM of DB).

    A batch without a positive pixel has no measure for "as many"; there all negatives count, so that pages without
    text teach too. Nothing is read back from the device: the number of negatives stays a tensor.
    """
    positive = target * mask
    negative = (1 - target) * mask
    positives = positive.sum()
    negatives = negative.sum()
    wanted = (positives * ratio).floor()
    count = paddle.where(positives > 0, wanted.minimum(negatives), negatives)

    hardest = (loss * negative).flatten().sort(descending=True)
    chosen = _first(hardest, count)
    return ((loss * positive).sum() + (hardest * chosen).sum()) / (positives + count + eps)


def _first(values: Tensor, count: Tensor) -> Tensor:
    """1.0 for the first `count` of `values`, else 0.0; positions are counted in integers, exact beyond 2^24."""
    positions = paddle.arange(values.shape[0], dtype="int64")
    return (positions < count.astype("int64")).astype("float32")
