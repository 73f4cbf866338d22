"""The loss of CT, CentripetalText (Sheng et al., arXiv 2107.05945): kernels and centripetal shifts."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F

_EPS = 1e-6
_SHIFT_UNIT = 10.0  # pixels


class CTLoss:
    """Dice loss of the kernels over text and hard negatives, and a smooth L1 loss of the shifts.

    Shifts are learned only where they are wrong: at pixels that they do not lead to the kernel of their own region
    (or, in the background, that they lead to any kernel). Both losses are computed for each image; the result is the
    mean. PaddleOCR's training adds the images up, which is the same at another learning rate; and it limits a shifted
    position's row by the image's width, which is right for squares alone.

    Args:
        ohem_ratio: negatives for each pixel of a kernel, the hardest first.
        beta: tens of pixels below which the loss of a shift is quadratic.
        shift_weight: weight of the shifts.

    Calling it with the model's outputs (`maps` [N, 3, H, W]: logits, shifts in tens of pixels) and a batch (see
    `CTTargets`) gives the scalars `loss`, `loss_kernel`, `loss_shift` (weighted). Computed in float32 also under AMP;
    nothing is read back from the device.
    """

    def __init__(self, ohem_ratio: float = 3, beta: float = 0.1, shift_weight: float = 0.05) -> None:
        if ohem_ratio <= 0:
            raise ValueError(f"ohem_ratio: expected a number above 0, got {ohem_ratio}")
        if beta <= 0:
            raise ValueError(f"beta: expected a number above 0, got {beta}")
        self.ohem_ratio = ohem_ratio
        self.beta = beta
        self.shift_weight = shift_weight

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            maps = outputs["maps"].astype("float32")
            kernel = self._kernel_loss(maps[:, 0], batch).mean()
            shift = self.shift_weight * self._shift_loss(maps[:, 1:], batch).mean()
            return {"loss": kernel + shift, "loss_kernel": kernel, "loss_shift": shift}

    def _kernel_loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Dice loss of each image [N]."""
        kernel = (batch["kernel_instance"] > 0).flatten(1)
        counted = (batch["kernel_mask"] > 0).flatten(1)
        logits = logits.flatten(1)
        chosen = self._chosen(logits.detach(), kernel, counted).astype("float32")
        prediction, target = F.sigmoid(logits) * chosen, kernel.astype("float32") * chosen
        overlap = (prediction * target).sum(axis=1)
        return 1 - 2 * overlap / ((prediction**2).sum(axis=1) + (target**2).sum(axis=1) + 2e-3)

    def _chosen(self, logits: Tensor, kernel: Tensor, counted: Tensor) -> Tensor:
        """Pixels of kernels and the hardest others, bool [N, pixels]; all that count where an image has no kernel."""
        negative = counted & ~kernel
        lowest = paddle.full_like(logits, -1e30)
        hardest = paddle.where(negative, logits, lowest).sort(axis=1, descending=True)
        positives = (counted & kernel).sum(axis=1, keepdim=True)
        wanted = (positives.astype("float32") * self.ohem_ratio).astype("int64")
        count = wanted.minimum(negative.sum(axis=1, keepdim=True))
        threshold = paddle.take_along_axis(hardest, (count - 1).clip(min=0), axis=1)
        return counted & (kernel | (logits >= threshold) | (positives == 0))

    def _shift_loss(self, shifts: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean over the pixels with a wrong shift of each image [N]."""
        target = batch["shift"].astype("float32") / _SHIFT_UNIT
        wrong = self._wrong(shifts.detach(), batch).astype("float32").unsqueeze(1)
        difference = (shifts - target).abs() * wrong
        quadratic = 0.5 * difference * difference / self.beta
        loss = paddle.where(difference < self.beta, quadratic, difference - 0.5 * self.beta)
        return loss.sum(axis=[1, 2, 3]) / (wrong.sum(axis=[1, 2, 3]) + _EPS)

    def _wrong(self, shifts: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Pixels that count and whose shift does not lead where it should, bool [N, H, W]."""
        height, width = shifts.shape[2:]
        columns = paddle.arange(width, dtype="float32")
        rows = paddle.arange(height, dtype="float32").reshape([-1, 1])
        x = (columns + _SHIFT_UNIT * shifts[:, 0]).clip(0, width - 1).astype("int64")
        y = (rows + _SHIFT_UNIT * shifts[:, 1]).clip(0, height - 1).astype("int64")
        kernels = batch["kernel_instance"].astype("int32").flatten(1)
        reached = paddle.take_along_axis(kernels, (y * width + x).flatten(1), axis=1)
        wrong = reached != batch["instance"].astype("int32").flatten(1)
        return wrong.reshape([-1, height, width]) & (batch["shift_mask"] > 0)
