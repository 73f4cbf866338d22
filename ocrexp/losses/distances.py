"""Distances between the outputs of two networks, equal to PaddleOCR 2.10's (`basic_loss.py`); each is a scalar.

All are computed in float32. Nothing is detached: a fixed teacher gives tensors without gradients.
"""

from __future__ import annotations

import paddle
from paddle import Tensor
from paddle.nn import functional as F

_DISTANCES = {"l1": F.l1_loss, "l2": F.mse_loss, "smooth_l1": F.smooth_l1_loss}
MODES = tuple(_DISTANCES)
_TINY = 1e-10  # keeps logarithms of probabilities finite
_EPS = 1e-5  # in the symmetric divergence


def kl_divergence(logits: Tensor, wanted: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(wanted ‖ ours) of each step: logits [..., C] → [...], times temperature², which keeps gradients' size."""
    ours = F.log_softmax(logits / temperature, axis=-1)
    theirs = F.softmax(wanted / temperature, axis=-1)
    return (theirs * (paddle.log(theirs + _TINY) - ours)).sum(axis=-1) * temperature**2


def mutual_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Half of KL(first ‖ second) + KL(second ‖ first) of probabilities [N, …], summed over an image, mean over N."""
    first, second = first + _TINY, second + _TINY
    both = second * (paddle.log(second + _TINY) - paddle.log(first))
    both = both + first * (paddle.log(first + _TINY) - paddle.log(second))
    return both.sum() / (2 * first.shape[0])


def symmetric_divergence(first: Tensor, second: Tensor, kind: str = "kl") -> Tensor:
    """Half of the two divergences of each value, elementwise: `kl` from each other, `js` from their mean."""
    other = (first, second) if kind == "kl" else ((first + second) / 2,) * 2
    scale = 1 if kind == "kl" else 2  # PaddleOCR adds its epsilon to twice the mean
    to_first = second * paddle.log((scale * second + _EPS) / (scale * other[0] + _EPS) + _EPS)
    to_second = first * paddle.log((scale * first + _EPS) / (scale * other[1] + _EPS) + _EPS)
    return (to_first + to_second) / 2


def decoupled_divergence(
    logits: Tensor, wanted: Tensor, target: Tensor, alpha: float, beta: float, temperature: float
) -> Tensor:
    """DKD (Zhao et al., arXiv 2203.08679): alpha · (target class against the rest) + beta · (among the rest).

    Args:
        logits: ours [..., C].
        wanted: the teacher's, of the same shape.
        target: class of each step [...].
        alpha: weight of how sure the teacher is of the target.
        beta: weight of how it ranks the other classes.
        temperature: softens both; the loss is scaled by its square.
    """
    classes = logits.shape[-1]
    logits, wanted = logits.reshape([-1, classes]) / temperature, wanted.reshape([-1, classes]) / temperature
    at_target = F.one_hot(target.flatten(), classes)
    ours, theirs = (_of_two(F.softmax(each, axis=-1), at_target) for each in (logits, wanted))
    of_target = (theirs * (paddle.log(theirs + _TINY) - paddle.log(ours + _TINY))).sum(axis=1).mean()
    out = 1000.0 * at_target  # takes the target out of the softmax
    among_others = kl_divergence(logits - out, wanted - out).mean()
    return (alpha * of_target + beta * among_others) * temperature**2


def distance(ours: Tensor, theirs: Tensor, mode: str) -> Tensor:
    """Mean of the absolute (`l1`), squared (`l2`) or Huber (`smooth_l1`) difference."""
    return _DISTANCES[mode](ours, theirs)


def mean_divergence(logits: Tensor, wanted: Tensor, temperature: float = 0.5) -> Tensor:
    """KL of the mean distributions over the steps [N, T, C], mean over N: needs no equal positions.

    As PaddleOCR's DistillCTCLogits, the blank (class 0) is negated first, which makes it rare where it is likely.
    """
    sign = paddle.to_tensor([-1.0] + [1.0] * (logits.shape[2] - 1))
    ours, theirs = (F.softmax(each * sign / temperature, axis=-1).mean(axis=1) for each in (logits, wanted))
    eps = 1e-6
    return (theirs * paddle.log((theirs + eps) / (ours + eps) + eps)).sum(axis=1).mean()


def dilated(maps: Tensor, threshold: float = 0.3) -> Tensor:
    """1.0 where a map [N, H, W] is above the threshold, grown by one pixel to the right and downwards."""
    above = (maps > threshold).astype("float32").unsqueeze(1)
    return F.max_pool2d(F.pad(above, [1, 0, 1, 0]), 2, stride=1).squeeze(1)


def _of_two(probabilities: Tensor, at_target: Tensor) -> Tensor:
    """Probability of the target and of the rest [N, 2]."""
    of_target = (probabilities * at_target).sum(axis=1)
    return paddle.stack([of_target, (probabilities * (1 - at_target)).sum(axis=1)], axis=1)
