"""SEED's loss (Qiao et al., arXiv 2005.10977)."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F


class SEEDLoss:
    """Cross entropy over the characters and the end: the sum over the steps of a text, the mean over the texts.

    PaddleOCR adds the distance of the head's guess of the word's meaning to fastText's vector of the word. Without it
    the guess, the decoder's first state, learns from the characters alone.

    Calling it with outputs `seed` (logits [N, L, C]) and a batch with `label_seed` [N, L or more] and `length` [N]
    gives the scalar `loss`.
    """

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            logits = outputs["seed"].astype("float32")
            count, steps = logits.shape[:2]
            losses = F.cross_entropy(logits, batch["label_seed"].astype("int64")[:, :steps], reduction="none")
            counts = paddle.arange(steps) <= batch["length"].astype("int64").unsqueeze(1)
            return {"loss": (losses * counts.astype("float32")).sum() / count}
