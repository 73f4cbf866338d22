"""The loss of RFL's head."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.losses.tokens import AttentionLoss


class RFLLoss:
    """Cross entropy of the characters and squared error of how often each occurs.

    Args:
        padding: count the steps after `eos` too, as PaddleOCR does.

    Calling it with the outputs of RFLHead and a batch with `label_rfl` [N, L] (`sos`, characters, `eos`, padding) gives
    `loss`, `loss_seq` (a mean over the steps that count) and `loss_cnt` (a mean over images and classes; `sos` and
    `eos` are not counted).
    """

    def __init__(self, padding: bool = False) -> None:
        self._characters = AttentionLoss(padding=padding)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        read = self._characters({"attention": outputs["rfl"]}, {"label_attention": batch["label_rfl"]})["loss"]
        with paddle.amp.auto_cast(enable=False):
            counts = outputs["rfl_counts"].astype("float32")
            classes = counts.shape[1]
            special = paddle.arange(classes)
            character = ((special > 0) & (special < classes - 1)).astype("float32")
            occurs = F.one_hot(batch["label_rfl"].astype("int64"), classes).sum(axis=1) * character
            counted = F.mse_loss(counts, occurs)
        return {"loss": read + counted, "loss_seq": read, "loss_cnt": counted}
