"""The loss of CPPD's head."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.losses.tokens import IGNORED, cross_entropy, smoothed_cross_entropy


class CPPDLoss:
    """Cross entropy of the characters, of how often each occurs, and of which positions the text has.

    Args:
        smoothing: give `eps` of the weight of the characters' cross entropy to the other classes.
        eps: how much.
        sideloss_weight: of the counts and the positions.

    Calling it with the outputs of CPPDHead and a batch with `label_cppd` [N, L] (characters, the end, padding) gives
    `loss`, `loss_edge` (the characters) and `loss_node` (counts and positions, weighted). Counts of a character above
    the largest that the head knows are learned as the largest.
    """

    def __init__(self, smoothing: bool = True, eps: float = 0.1, sideloss_weight: float = 1.0) -> None:
        if not 0 <= eps < 1:
            raise ValueError(f"eps: expected a share from 0 to below 1, got {eps}")
        self.eps = eps if smoothing else 0.0
        self.weight = sideloss_weight

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            label = batch["label_cppd"].astype("int64")
            edge = smoothed_cross_entropy(outputs["cppd"].astype("float32"), label, label != IGNORED, self.eps)
            counts = outputs["cppd_counts"].astype("float32")
            found = (label.unsqueeze(1) == outputs["cppd_nodes"].unsqueeze(2)).astype("int64").sum(axis=2)
            node = cross_entropy(counts, found.clip(max=counts.shape[2] - 1), IGNORED)
            exists = (label != IGNORED).astype("float32")
            node = node + F.binary_cross_entropy_with_logits(outputs["cppd_positions"].astype("float32"), exists)
            node = node * self.weight
            return {"loss": edge + node, "loss_edge": edge, "loss_node": node}
