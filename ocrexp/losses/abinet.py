"""The loss of ABINet's head."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor

from ocrexp.losses.tokens import IGNORED, cross_entropy


class ABINetLoss:
    """Cross entropy of the first reading, of the language model's corrections and of the fusions, added.

    Calling it with the outputs of ABINetHead and a batch with `label_abinet` [N, L] (characters, the end, padding)
    gives `loss`, `loss_vision`, and `loss_lang` and `loss_align` (means over the iterations) where the head has a
    language model.
    """

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            label = batch["label_abinet"].astype("int64")
            losses = {}
            for part in ("vision", "lang", "align"):
                if f"abinet_{part}" in outputs:
                    logits = outputs[f"abinet_{part}"].astype("float32")
                    target = label if logits.ndim == 3 else label.expand([logits.shape[0], -1, -1])
                    losses[f"loss_{part}"] = cross_entropy(logits, target, IGNORED)
            return {"loss": sum(losses.values(), paddle.zeros([])), **losses}
