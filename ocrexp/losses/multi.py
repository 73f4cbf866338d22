"""The loss of PP-OCRv3's and v4's MultiHead: CTC and the guide's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paddle import Tensor

from ocrexp.losses.ctc import CTCLoss
from ocrexp.losses.tokens import NRTRLoss, SARLoss


class MultiLoss:
    """weight_1 · CTC + weight_2 · guide.

    Args:
        ctc: the CTC branch's loss.
        guide: SARLoss or NRTRLoss.
        weight_1: of CTC.
        weight_2: of the guide.

    Calling it gives `loss`, `loss_ctc` and `loss_sar` or `loss_nrtr` (weighted: the parts add up to `loss`).
    """

    def __init__(self, ctc: CTCLoss, guide: SARLoss | NRTRLoss, weight_1: float = 1.0, weight_2: float = 1.0) -> None:
        self.ctc, self.guide = ctc, guide
        self.weights = weight_1, weight_2
        self._name = "loss_sar" if isinstance(guide, SARLoss) else "loss_nrtr"

    def know_characters(self, entries: Sequence[str]) -> None:
        """The charset's entries, for the CTC branch."""
        self.ctc.know_characters(entries)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        ctc = self.ctc(outputs, batch)["loss"] * self.weights[0]
        guide = self.guide(outputs, batch)["loss"] * self.weights[1]
        return {"loss": ctc + guide, "loss_ctc": ctc, self._name: guide}
