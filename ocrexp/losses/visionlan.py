"""VisionLAN's loss (Wang et al., arXiv 2108.09661)."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor

from ocrexp.losses.tokens import cross_entropy

_IGNORED = -100


class VisionLANLoss:
    """Cross entropy over the characters and the end: of the text, of the text without a character, of that character.

    Args:
        weight_res: weight of the text without the character.
        weight_mas: weight of the character.

    Calling it with outputs `visionlan` (logits [N, L, C]) and a batch with `label_visionlan` [N, L] (class 0 ends it)
    and `length` [N] gives `loss`; where the outputs contain `visionlan_place` [N] (see VLHead), also its parts
    `loss_text`, `loss_rest` and `loss_character`.
    """

    def __init__(self, weight_res: float = 0.5, weight_mas: float = 0.5) -> None:
        self.weight_res = weight_res
        self.weight_mas = weight_mas

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            label, length = batch["label_visionlan"].astype("int64"), batch["length"].astype("int64")
            text = _of_steps(outputs["visionlan"], label, length)
            if "visionlan_place" not in outputs:
                return {"loss": text}
            place = outputs["visionlan_place"].unsqueeze(1)
            steps = paddle.arange(label.shape[1]).unsqueeze(0)
            behind = (steps + (steps >= place).astype("int64")).clip(max=label.shape[1] - 1)
            rest = _of_steps(outputs["visionlan_rest"], paddle.take_along_axis(label, behind, axis=1), length - 1)
            alone = paddle.take_along_axis(label, place, axis=1) * (steps == 0).astype("int64")
            character = _of_steps(outputs["visionlan_character"], alone, paddle.ones_like(length))
            loss = text + self.weight_res * rest + self.weight_mas * character
            return {"loss": loss, "loss_text": text, "loss_rest": rest, "loss_character": character}


def _of_steps(logits: Tensor, label: Tensor, length: Tensor) -> Tensor:
    """Mean over `length` [N] characters and the end of each row."""
    counts = paddle.arange(label.shape[1]).unsqueeze(0) <= length.unsqueeze(1)
    target = paddle.where(counts, label, paddle.full_like(label, _IGNORED))
    return cross_entropy(logits.astype("float32"), target, _IGNORED)
