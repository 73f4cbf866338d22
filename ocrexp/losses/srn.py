"""SRN's loss (Yu et al., arXiv 2003.12294)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import paddle
from paddle import Tensor

from ocrexp.losses.tokens import cross_entropy

_NOTHING = -100  # no class: all steps count


class SRNLoss:
    """Cross entropy of what the visual features say, what the characters around say, and of both together.

    Every step counts: those after the end are to give the end.

    Args:
        reduction: `mean` over the steps, or `sum`, which is PaddleOCR's.
        visual_weight: weight of the visual features alone.
        semantic_weight: weight of the characters around.

    Calling it with outputs `srn`, `srn_visual`, `srn_semantic` (logits [N, L, C], see SRNHead) and a batch with
    `label_srn` [N, L] gives `loss` and its parts `loss_text`, `loss_visual` and `loss_semantic`.
    """

    def __init__(
        self,
        reduction: Literal["mean", "sum"] = "mean",
        visual_weight: float = 3.0,
        semantic_weight: float = 0.15,
    ) -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction: expected mean or sum, got {reduction}")
        self.reduction = reduction
        self.visual_weight = visual_weight
        self.semantic_weight = semantic_weight

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            label = batch["label_srn"].astype("int64")
            text, visual, semantic = (
                cross_entropy(outputs[name].astype("float32"), label, _NOTHING, self.reduction)
                for name in ("srn", "srn_visual", "srn_semantic")
            )
            loss = text + self.visual_weight * visual + self.semantic_weight * semantic
            return {"loss": loss, "loss_text": text, "loss_visual": visual, "loss_semantic": semantic}
