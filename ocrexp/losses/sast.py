"""The loss of SAST (Wang et al., arXiv 1908.05498, section 3.2), with PaddleOCR's weights."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.losses.maps import dice_loss

_EPS = 1e-5
# The head's map, the target, and the name of the loss: the target has the norm behind its offsets.
_OFFSETS = (
    ("f_border", "border_map", "loss_border"),
    ("f_tvo", "tvo_map", "loss_tvo"),
    ("f_tco", "tco_map", "loss_tco"),
)


class SASTLoss:
    """Dice of the center lines + smooth L1 of the offsets to sides, corners and centers.

    Offsets are learned at pixels of center lines, divided by the height of the text; their means are over these pixels.
    Equal to PaddleOCR's.

    Args:
        border_weight: weight of the offsets to the sides.
        tvo_weight: weight of the offsets to the corners.
        tco_weight: weight of the offsets to the centers.

    Calling it with the model's outputs (see `SASTHead`) and a batch (see `SASTTargets`) gives the scalars `loss`,
    `loss_score`, `loss_border`, `loss_tvo`, `loss_tco`. Computed in float32 also under AMP; nothing is read back from
    the device.
    """

    def __init__(self, border_weight: float = 1.0, tvo_weight: float = 1.5, tco_weight: float = 1.5) -> None:
        self._weights = {"loss_border": border_weight, "loss_tvo": tvo_weight, "loss_tco": tco_weight}
        for name, weight in self._weights.items():
            if weight < 0:
                raise ValueError(f"{name.removeprefix('loss_')}_weight: expected 0 or more, got {weight}")

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            score, mask = (batch[name].astype("float32") for name in ("score_map", "training_mask"))
            losses = {"loss_score": dice_loss(outputs["f_score"].astype("float32"), score, mask, _EPS)}
            learned = score * mask
            for name, target, loss in _OFFSETS:
                found, expected = outputs[name].astype("float32"), batch[target].astype("float32")
                offsets, norm = expected[:, :-1], expected[:, -1:]
                differences = F.smooth_l1_loss(found, offsets, reduction="none") * norm * learned
                losses[loss] = differences.sum() / (learned.sum() * found.shape[1] + _EPS)
            weighted = [losses[name] * weight for name, weight in self._weights.items()]
            return {"loss": sum(weighted, start=losses["loss_score"]), **losses}
