"""Cross entropy over tokens: attention, NRTR, SAR, PARSeq, ViTSTR, and the direction classifier.

All are computed in float32 also under AMP, read nothing back from the device, and do not count padding unless stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.errors import ConfigError

IGNORED = -100  # a class that no head has: steps with it do not count


class AttentionLoss:
    """Cross entropy of an attention head.

    Logits with as many steps as the label are compared with all of it (free-running as PaddleOCR: the first step is to
    give `sos`), with one step less with what follows `sos` (teacher forcing).

    Args:
        reduction: `mean` over the steps that count, or `sum`.
        padding: count the steps after `eos` too.

    PaddleOCR sums over all steps, padding included: `reduction: sum, padding: true`. Its loss therefore grows with
        the batch
    and is mostly about padding; the default here is the mean over the characters and `eos`.

    Calling it with outputs `attention` (logits [N, S, C]) and a batch with `label_attention` [N, L] (`eos` is the last
    class) gives the scalar `loss`.
    """

    def __init__(self, reduction: Literal["mean", "sum"] = "mean", padding: bool = False) -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction: expected mean or sum, got {reduction}")
        self.reduction = reduction
        self.padding = padding

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["attention"].astype("float32")
            label = batch["label_attention"].astype("int64")
            steps, width = logits.shape[1], label.shape[1]
            if steps not in (width, width - 1):
                raise ConfigError(
                    f"the attention head gives {steps} steps for labels of {width}; make max_text_length of the head "
                    "and of the targets equal"
                )
            target = label[:, width - steps :]
            if not self.padding:
                ends = (target == logits.shape[2] - 1).astype("int64")
                after = ends.cumsum(axis=1) - ends > 0
                target = paddle.where(after, paddle.full_like(target, IGNORED), target)
            return {"loss": cross_entropy(logits, target, IGNORED, self.reduction)}


class NRTRLoss:
    """Cross entropy of NRTR's head with label smoothing.

    Args:
        smoothing: give `eps` of the weight to the other classes.
        eps: how much.

    Calling it with outputs `nrtr` (logits [N, S, C]) and a batch with `label_nrtr` [N, L] (begins with `<s>`, padding
    0) gives the scalar `loss`: the mean over the S steps after `<s>` that are not padding.
    """

    def __init__(self, smoothing: bool = True, eps: float = 0.1) -> None:
        if not 0 <= eps < 1:
            raise ValueError(f"eps: expected a share from 0 to below 1, got {eps}")
        self.eps = eps if smoothing else 0.0

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["nrtr"].astype("float32")
            target = batch["label_nrtr"].astype("int64")[:, 1 : 1 + logits.shape[1]]
            if self.eps == 0:
                return {"loss": cross_entropy(logits, target, ignored=0)}
            return {"loss": smoothed_cross_entropy(logits, target, target != 0, self.eps)}


class SARLoss:
    """Cross entropy of SAR's head.

    Args:
        ignore_index: class that does not count; null: the padding, which is the class after those that the head
            predicts. (PaddleOCR's default is 92, right for one dictionary.)

    Calling it with outputs `sar` (logits [N, L or L - 1, C]) and a batch with `label_sar` [N, L] (begins with
    `<BOS/EOS>`) gives the scalar `loss`: step t is to give the label's t + 1.
    """

    def __init__(self, ignore_index: int | None = None) -> None:
        self.ignore_index = ignore_index

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["sar"].astype("float32")
            ignored = logits.shape[2] if self.ignore_index is None else self.ignore_index
            target = batch["label_sar"].astype("int64")[:, 1:]
            return {"loss": cross_entropy(logits[:, : target.shape[1]], target, ignored)}


class SATRNLoss:
    """Cross entropy of SATRN's head over the characters and the end.

    Args:
        all_steps: divide the sum by all steps, padding included, as PaddleOCR does, and not by those that count.

    Calling it with outputs `satrn` (logits [N, L - 1, C]) and a batch with `label_satrn` [N, L] (begins with
    `<BOS/EOS>`; the padding is the class after those that the head predicts) gives the scalar `loss`.
    """

    def __init__(self, all_steps: bool = False) -> None:
        self.all_steps = all_steps

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["satrn"].astype("float32")
            target = batch["label_satrn"].astype("int64")[:, 1:]
            if not self.all_steps:
                return {"loss": cross_entropy(logits, target, logits.shape[2])}
            return {"loss": cross_entropy(logits, target, logits.shape[2], "sum") / float(target.size)}


class SPINLoss:
    """Cross entropy of SPIN's head over the characters and the end; padding, class 0 as `sos`, does not count.

    Calling it with outputs `spin` (logits [N, L - 1, C]) and a batch with `label_spin` [N, L] (begins with `sos`) gives
    the scalar `loss`.
    """

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["spin"].astype("float32")
            return {"loss": cross_entropy(logits, batch["label_spin"].astype("int64")[:, 1:], ignored=0)}


class ParseQLoss:
    """Cross entropy of PARSeq's head over all orders, the mean over everything that counts.

    From the third order on the end does not count: it was learned from the first two.

    Calling it with outputs `parseq` (logits [orders, N, S, C]) and a batch with `label_parseq` [N, L] (begins with
    `[B]`) gives the scalar `loss`.
    """

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["parseq"].astype("float32")
            orders, _, steps, classes = logits.shape
            target = batch["label_parseq"].astype("int64")[:, 1 : 1 + steps]
            counts = target != classes + 1
            without_end = counts & (target != 0)
            counts = paddle.stack([counts if order < 2 else without_end for order in range(orders)])
            target = paddle.where(counts, target, paddle.full_like(target, IGNORED))
            return {"loss": cross_entropy(logits, target, IGNORED)}


class ViTSTRLoss:
    """Cross entropy of ViTSTR's steps; begin and padding, both class 0, do not count.

    Calling it with outputs `vitstr` (logits [N, L, C]) and a batch with `label_vitstr` [N, L] gives the scalar `loss`.
    """

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["vitstr"].astype("float32")
            return {"loss": cross_entropy(logits, batch["label_vitstr"].astype("int64"), ignored=0)}


class PRENLoss:
    """Cross entropy of PREN's steps; the padding, class 0, does not count.

    Calling it with outputs `pren` (logits [N, L, C]) and a batch with `label_pren` [N, L] gives the scalar `loss`.
    """

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["pren"].astype("float32")
            return {"loss": cross_entropy(logits, batch["label_pren"].astype("int64"), ignored=0)}


class ClsLoss:
    """Cross entropy of the direction classifier: outputs `cls` (logits [N, C]), batch `label_cls` [N]."""

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            return {"loss": F.cross_entropy(outputs["cls"].astype("float32"), batch["label_cls"].astype("int64"))}


def smoothed_cross_entropy(logits: Tensor, target: Tensor, counts: Tensor, eps: float) -> Tensor:
    """Cross entropy of logits [N, S, C] and classes [N, S] with `eps` of the weight on the other classes, the mean over
    the steps that count (bool [N, S])."""
    log_p = F.log_softmax(logits, axis=-1)
    wanted = -paddle.take_along_axis(log_p, target.clip(min=0).unsqueeze(2), axis=2).squeeze(2)
    loss = wanted
    if eps:
        loss = (1 - eps) * wanted + eps / (logits.shape[2] - 1) * (-log_p.sum(axis=2) - wanted)
    weights = counts.astype("float32")
    return (loss * weights).sum() / weights.sum().clip(min=1)


def cross_entropy(logits: Tensor, target: Tensor, ignored: int, reduction: str = "mean") -> Tensor:
    """Cross entropy of logits [..., C] and classes [...], over the steps whose class is not `ignored`."""
    losses = F.cross_entropy(
        logits.reshape([-1, logits.shape[-1]]), target.reshape([-1]), ignore_index=ignored, reduction="none"
    )
    if reduction == "sum":
        return losses.sum()
    # Not paddle's own mean: with a negative ignore_index it divides by all steps.
    return losses.sum() / (target != ignored).astype("float32").sum().clip(min=1)
