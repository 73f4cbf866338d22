"""The loss of PSENet: text and kernels (Wang et al., arXiv 1903.12473)."""

from __future__ import annotations

from collections.abc import Mapping

import paddle
from paddle import Tensor
from paddle.nn import functional as F

KERNEL_MASKS = ("pred", "gt")
REDUCTIONS = ("mean", "sum")


class PSELoss:
    """alpha · (text) + (1 - alpha) · (mean over the kernels), Dice with squares for each image.

    The text is compared over all its pixels and `ohem_ratio` times as many of the hardest others, the kernels inside
    the text.

    Args:
        alpha: weight of the text.
        ohem_ratio: other pixels for each pixel of text.
        kernel_sample_mask: where kernels are compared: `pred`, in the text that the model finds, or `gt`, in the
            labeled text.
        reduction: `mean` or `sum` over the images. PaddleOCR's files say `none`, and its training adds the images up,
            so that the gradient grows with the batch; with Adam both learn alike.
        eps: keeps denominators above 0.

    Calling it with the model's outputs (`maps` [N, 1 + kernels, H/4, W/4], logits) and a batch (`gt_text`, `mask`
    [N, H, W], `gt_kernels` [N, kernels, H, W], any dtype) gives the scalars `loss`, `loss_text`, `loss_kernels`, and
    for the curves `iou_text` and `iou_kernel`: mean IoU of text and background, and of the smallest kernel inside the
    text.
    """

    def __init__(
        self,
        alpha: float = 0.7,
        ohem_ratio: float = 3,
        kernel_sample_mask: str = "pred",
        reduction: str = "mean",
        eps: float = 1e-6,
    ) -> None:
        if kernel_sample_mask not in KERNEL_MASKS:
            raise ValueError(f"kernel_sample_mask: expected one of {', '.join(KERNEL_MASKS)}, got {kernel_sample_mask}")
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction: expected one of {', '.join(REDUCTIONS)}, got {reduction}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: expected a number from 0 to 1, got {alpha}")
        if ohem_ratio <= 0:
            raise ValueError(f"ohem_ratio: expected a number above 0, got {ohem_ratio}")
        self.alpha = alpha
        self.ohem_ratio = ohem_ratio
        self.kernel_sample_mask = kernel_sample_mask
        self.reduction = reduction
        self.eps = eps

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            maps = _enlarged(outputs["maps"].astype("float32"))
            gt_text, gt_kernels, mask = (batch[name].astype("float32") for name in ("gt_text", "gt_kernels", "mask"))
            text, kernels = maps[:, 0], maps[:, 1:]
            if kernels.shape[1] != gt_kernels.shape[1]:
                raise ValueError(
                    f"the head gives {kernels.shape[1]} kernels, the targets have {gt_kernels.shape[1]}; set "
                    "targets.kernel_num to model.head.out_channels"
                )
            of_text = self._dice(text, gt_text, self._sampled(text, gt_text, mask))
            inside = gt_text if self.kernel_sample_mask == "gt" else (text > 0).astype("float32")
            of_kernels = self._dice(kernels, gt_kernels, (inside * mask).unsqueeze(1)).mean(axis=1)
            iou_text = _mean_iou(text.detach(), gt_text, mask)
            iou_kernel = _mean_iou(kernels[:, -1].detach(), gt_kernels[:, -1], mask * gt_text)
            reduce = paddle.mean if self.reduction == "mean" else paddle.sum
            return {
                "loss": reduce(self.alpha * of_text + (1 - self.alpha) * of_kernels),
                "loss_text": reduce(of_text),
                "loss_kernels": reduce(of_kernels),
                "iou_text": iou_text.mean(),
                "iou_kernel": iou_kernel.mean(),
            }

    def _dice(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """1 - Dice coefficient with squares, over the last two axes."""
        prediction, target = F.sigmoid(logits) * mask, target * mask
        overlap = (prediction * target).sum(axis=[-2, -1])
        squares = (prediction * prediction).sum(axis=[-2, -1]) + (target * target).sum(axis=[-2, -1])
        return 1 - 2 * overlap / (squares + 2 * self.eps)

    def _sampled(self, text: Tensor, gt_text: Tensor, mask: Tensor) -> Tensor:
        """Pixels over which the text is compared, [N, H, W]; all of the mask in an image without text."""
        count = text.shape[0]
        is_text = gt_text > 0.5
        positives = (is_text.astype("float32") * (mask > 0.5).astype("float32")).sum(axis=[1, 2])
        negatives = (~is_text).astype("float32").sum(axis=[1, 2])
        wanted = (positives * self.ohem_ratio).floor().minimum(negatives).astype("int64")
        scores = paddle.where(is_text, paddle.full_like(text, -float("inf")), text.detach()).reshape([count, -1])
        last = (wanted - 1).clip(min=0).reshape([-1, 1])
        threshold = paddle.take_along_axis(scores.sort(axis=1, descending=True), last, axis=1).reshape([-1, 1, 1])
        chosen = ((text >= threshold) | is_text) & (mask > 0.5)
        everything = (wanted == 0).reshape([-1, 1, 1])
        return paddle.where(everything, mask, chosen.astype("float32"))


def _enlarged(maps: Tensor) -> Tensor:
    """Each value 4 × 4 times: at the size of the targets."""
    n, c, h, w = maps.shape
    return maps.reshape([n, c, h, 1, w, 1]).expand([n, c, h, 4, w, 4]).reshape([n, c, 4 * h, 4 * w])


def _mean_iou(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean of the IoU of both classes within the mask, [N]."""
    found, wanted, valid = logits > 0, target > 0.5, mask > 0.5
    both = []
    for one, other in ((found, wanted), (~found, ~wanted)):
        overlap = (one & other & valid).astype("float32").sum(axis=[1, 2])
        union = ((one | other) & valid).astype("float32").sum(axis=[1, 2])
        both.append(overlap / (union + 1e-6))
    return (both[0] + both[1]) / 2
