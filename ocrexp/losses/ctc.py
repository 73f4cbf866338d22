"""Connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.losses.cases import CaseGroups


class CTCLoss:
    """Mean over the images of -log p(label); the blank is class 0.

    A label that does not fit into the steps, because it has more characters than there are steps or because repeated
    characters need a blank between them, has probability 0: its loss is infinite, and so is the mean, which stops the
    run with the images at fault. PaddleOCR gives such a label loss 0 without a word. Labels that do not fit are meant
    to be rejected, and counted, before they come here (`Codec.steps_needed`).

    Args:
        use_focal_loss: weight each image's loss by (1 - p(label))².
        auxiliary_weight: of the loss of an auxiliary head, where the model has one.
        case: `ignore` takes a character in any case for the label's: for labels in capitals of other text (SROIE,
            ICDAR), so that a model which reads case keeps it. Without `know_characters` it has no effect.
            `keep`: the label's case alone.

    Calling it with outputs `ctc` (logits [N, T, C]) and a batch with `label_ctc` [N, L] and `length` [N] gives the
    scalar `loss`; with an output `auxiliary_ctc` too `loss_ctc` and `loss_auxiliary` (weighted), which add up to it.
    Computed in float32 also under AMP.
    """

    def __init__(
        self,
        use_focal_loss: bool = False,
        auxiliary_weight: float = 1.0,
        case: Literal["keep", "ignore"] = "keep",
    ) -> None:
        if case not in ("keep", "ignore"):
            raise ValueError(f"case: expected keep or ignore, got {case!r}")
        if auxiliary_weight < 0:
            raise ValueError(f"auxiliary_weight: expected 0 or more, got {auxiliary_weight}")
        self.use_focal_loss = use_focal_loss
        self.auxiliary_weight = auxiliary_weight
        self.case = case
        self._groups: CaseGroups | None = None

    def know_characters(self, entries: Sequence[str]) -> None:
        """The charset's entries, in the order of the model's classes; the blank is not among them."""
        if self.case == "ignore":
            self._groups = CaseGroups(entries)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            loss = self._mean(outputs["ctc"], batch)
            if "auxiliary_ctc" not in outputs:
                return {"loss": loss}
            auxiliary = self._mean(outputs["auxiliary_ctc"], batch) * self.auxiliary_weight
            return {"loss": loss + auxiliary, "loss_ctc": loss, "loss_auxiliary": auxiliary}

    def _mean(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        label = batch["label_ctc"]
        if self._groups is not None:
            logits, label = self._groups.logits(logits.astype("float32")), self._groups.labels(label)
        loss = ctc_losses(logits, label, batch["length"])
        if self.use_focal_loss:
            loss = loss * paddle.square(1 - paddle.exp(-loss))
        return loss.mean()


def ctc_losses(logits: Tensor, label: Tensor, length: Tensor) -> Tensor:
    """Loss [N] of each image for logits [N, T, C], labels [N, L] and their lengths [N]."""
    count, steps, _ = logits.shape
    label, length = label.astype("int32"), length.astype("int64")
    loss = F.ctc_loss(
        logits.astype("float32").transpose([1, 0, 2]),
        label,
        paddle.full([count], steps, dtype="int64"),
        length,
        blank=0,
        reduction="none",
    ).reshape([-1])
    repeats = (label[:, 1:] == label[:, :-1]) & (paddle.arange(1, label.shape[1]) < length.unsqueeze(1))
    needed = length + repeats.astype("int64").sum(axis=1)
    return paddle.where(needed <= steps, loss, paddle.full_like(loss, float("inf")))
