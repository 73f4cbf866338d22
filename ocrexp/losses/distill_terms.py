"""The terms of distillation losses; `distill_term.py` has what all of them have.

The formulas are in `distances.py`; each class names PaddleOCR 2.10's loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.losses.distances import (
    MODES,
    decoupled_divergence,
    dilated,
    distance,
    kl_divergence,
    mean_divergence,
    mutual_divergence,
    symmetric_divergence,
)
from ocrexp.losses.distill_term import TAUGHT, Pairs, Term
from ocrexp.losses.maps import dice_loss

MAPS = ("shrink", "threshold", "binary")  # DB's maps in the order of their channels


class KLDiv(Term):
    """KL(teacher ‖ ours) of softened class distributions (Hinton et al., arXiv 1503.02531; PaddleOCR: KLDivLoss).

    Args:
        output: logits [N, T, C].
        pairs: see `Term`.
        weight: see `Term`.
        temperature: softens both distributions.
        reduction: `steps`, the mean over the steps; `images`, the sum over the steps, mean over the images, as
            PaddleOCR without a mask; `label`, the mean over the steps whose label is not padding (NRTR), as PaddleOCR
            with a mask.
    """

    one_way = True

    def __init__(
        self,
        output: str,
        pairs: Pairs = TAUGHT,
        weight: float = 1.0,
        temperature: float = 1.0,
        reduction: Literal["steps", "images", "label"] = "steps",
    ) -> None:
        super().__init__(output, pairs, weight)
        _check_temperature(temperature)
        if reduction not in ("steps", "images", "label"):
            raise ValueError(f"reduction: expected one of steps, images, label; got {reduction!r}")
        self.temperature, self.reduction = temperature, reduction

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        loss = kl_divergence(ours, theirs, self.temperature)
        if self.reduction == "steps":
            return loss.mean()
        if self.reduction == "images":
            return loss.sum() / loss.shape[0]
        counts = (_label_of(self.output, batch, ours.shape[1]) != 0).astype("float32")
        return (loss * counts).sum() / counts.sum().clip(min=1)


class DKD(Term):
    """Decoupled knowledge distillation: target and other classes have weights of their own (PaddleOCR: DKDLoss).

    Args:
        output: logits [N, T, C].
        pairs: see `Term`.
        weight: see `Term`.
        alpha: weight of the target against the rest.
        beta: weight of the other classes among each other.
        temperature: softens both distributions.
        target: `teacher`, its best class of each step; `label`, the label's token (NRTR).
    """

    one_way = True

    def __init__(
        self,
        output: str,
        pairs: Pairs = TAUGHT,
        weight: float = 1.0,
        alpha: float = 1.0,
        beta: float = 1.0,
        temperature: float = 1.0,
        target: Literal["teacher", "label"] = "teacher",
    ) -> None:
        super().__init__(output, pairs, weight)
        _check_temperature(temperature)
        if target not in ("teacher", "label"):
            raise ValueError(f"target: expected teacher or label, got {target!r}")
        self.alpha, self.beta, self.temperature, self.target = alpha, beta, temperature, target

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        label = self.target == "label"
        target = _label_of(self.output, batch, ours.shape[1]) if label else theirs.detach().argmax(axis=-1)
        return decoupled_divergence(ours, theirs, target, self.alpha, self.beta, self.temperature)


class DML(Term):
    """Deep mutual learning: both networks of a pair learn from each other (arXiv 1706.00384; PaddleOCR: DMLLoss).

    Args:
        output: logits [N, T, C], or DB's maps [N, 3, H, W].
        pairs: see `Term`.
        weight: see `Term`.
        act: `softmax` or `sigmoid` makes probabilities of the output; null: it has probabilities.
        use_log: the divergence, summed over an image, as PaddleOCR for text; else its mean over all values, as
            PaddleOCR for maps.
        map: of DB's maps the one that is compared: shrink, threshold or binary; null: all of the output.
    """

    def __init__(
        self,
        output: str,
        pairs: Pairs = (("student", "student2"),),
        weight: float = 1.0,
        act: Literal["softmax", "sigmoid"] | None = None,
        use_log: bool = False,
        map: Literal["shrink", "threshold", "binary"] | None = None,
    ) -> None:
        super().__init__(output, pairs, weight)
        if act not in ("softmax", "sigmoid", None):
            raise ValueError(f"act: expected softmax, sigmoid or null; got {act!r}")
        if map is not None and map not in MAPS:
            raise ValueError(f"map: expected one of {', '.join(MAPS)} or null; got {map!r}")
        self.act, self.use_log, self.map = act, use_log, map

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        if self.map is not None:
            ours, theirs = (each[:, MAPS.index(self.map)] for each in (ours, theirs))
        if self.act is not None:
            act = F.sigmoid if self.act == "sigmoid" else F.softmax
            ours, theirs = act(ours), act(theirs)
        return mutual_divergence(ours, theirs) if self.use_log else symmetric_divergence(ours, theirs).mean()


class KLJS(Term):
    """Symmetric divergence of probabilities, `kl` or `js` (PaddleOCR: KLJSLoss).

    Args:
        output: probabilities [N, …].
        pairs: see `Term`.
        weight: see `Term`.
        mode: `kl`: half of the divergences from each other; `js`: from their mean.
        reduction: `mean` over all values, or `sum` over an image and mean over the images.
    """

    def __init__(
        self,
        output: str,
        pairs: Pairs = TAUGHT,
        weight: float = 1.0,
        mode: Literal["kl", "js"] = "kl",
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__(output, pairs, weight)
        if mode not in ("kl", "js"):
            raise ValueError(f"mode: expected kl or js, got {mode!r}")
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction: expected mean or sum, got {reduction!r}")
        self.mode, self.reduction = mode, reduction

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        loss = symmetric_divergence(ours, theirs, self.mode)
        return loss.mean() if self.reduction == "mean" else loss.sum() / loss.shape[0]


class Distance(Term):
    """Mean distance of features or outputs (PaddleOCR: DistanceLoss).

    Args:
        output: any output, or a feature of `model.features`.
        pairs: see `Term`.
        weight: see `Term`.
        mode: `l1`, `l2` (mean square) or `smooth_l1` (Huber).
    """

    def __init__(
        self,
        output: str,
        pairs: Pairs = TAUGHT,
        weight: float = 1.0,
        mode: Literal["l1", "l2", "smooth_l1"] = "l2",
    ) -> None:
        super().__init__(output, pairs, weight)
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}; got {mode!r}")
        self.mode = mode

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        return distance(ours, theirs, self.mode)


class DilatedMaps(Term):
    """DB's shrink and binary map against the teacher's shrink map, dilated (CML; PaddleOCR: DistillationDilaDBLoss).

    The teacher's map becomes 0 or 1 at the threshold and grows by one pixel; Dice of both maps over the pixels that
    count. PaddleOCR's class takes alpha and main_loss_type and uses 5 and Dice whatever they are, always dilates, and
    compares labeled pixels alone.

    Args:
        output: DB's maps [N, 3, H, W].
        pairs: see `Term`.
        weight: see `Term`.
        alpha: weight of the shrink map.
        thresh: what of the teacher's map is text.
        dilate: let the teacher's regions grow by one pixel.
        unlabeled: compare the pixels of ignored regions (`###`) too, of which the labels say nothing.
        eps: keeps denominators above 0.
    """

    one_way = True

    def __init__(
        self,
        output: str = "maps",
        pairs: Pairs = TAUGHT,
        weight: float = 1.0,
        alpha: float = 5.0,
        thresh: float = 0.3,
        dilate: bool = True,
        unlabeled: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(output, pairs, weight)
        self.alpha, self.thresh, self.dilate, self.unlabeled, self.eps = alpha, thresh, dilate, unlabeled, eps

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        if "shrink_mask" not in batch:
            raise ConfigError(
                "loss.terms: DilatedMaps compares DB's maps, but the batch has no shrink_mask; choose other terms with "
                "loss/terms=NAME"
            )
        shown = theirs[:, 0].detach()
        target = dilated(shown, self.thresh) if self.dilate else (shown > self.thresh).astype("float32")
        mask = batch["shrink_mask"].astype("float32")
        if self.unlabeled:
            mask = paddle.ones_like(mask)
        shrink, binary = (dice_loss(ours[:, channel], target, mask, self.eps) for channel in (0, 2))
        return self.alpha * shrink + binary


class MeanCTC(Term):
    """KL of the mean class distributions over all steps, for networks whose characters lie at other steps.

    PaddleOCR's DistillCTCLogits; see `distances.mean_divergence`.

    Args:
        output: CTC's logits [N, T, C].
        pairs: see `Term`.
        weight: see `Term`.
        temperature: softens both distributions.
    """

    one_way = True

    def __init__(
        self, output: str = "ctc", pairs: Pairs = TAUGHT, weight: float = 1.0, temperature: float = 0.5
    ) -> None:
        super().__init__(output, pairs, weight)
        _check_temperature(temperature)
        self.temperature = temperature

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        return mean_divergence(ours, theirs, self.temperature)


def _check_temperature(temperature: float) -> None:
    if temperature <= 0:
        raise ValueError(f"temperature: expected a number above 0, got {temperature}")


def _label_of(output: str, batch: Mapping[str, Tensor], steps: int) -> Tensor:
    """The token that each step is to give [N, steps]; 0 is padding."""
    if f"label_{output}" not in batch or output == "ctc":
        raise ConfigError(
            f"loss.terms: {output} has no label for each step; use target=teacher, or reduction=steps, or the output of"
            " an NRTR head"
        )
    return batch[f"label_{output}"].astype("int64")[:, 1 : 1 + steps]
