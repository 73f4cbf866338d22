"""The loss of FCENet (Zhu et al., arXiv 2104.10442): text, text centers, and points of the outlines."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import functional as F

LEVELS = {"level_0": "p3_maps", "level_1": "p4_maps", "level_2": "p5_maps"}
_NEGATIVES = 100  # of a level without text


class FCELoss:
    """For each level: text (cross entropy with hard negatives) + centers + outlines (smooth L1 of their points).

    Outlines are learned at pixels of text, at centers with twice the weight; they are compared as `num_sample` points,
    not as coefficients. A level without text has the loss of its 100 hardest negatives alone. Equal to PaddleOCR's, for
    which pixels of ignored regions are background of the centers.

    Args:
        fourier_degree: K of the head and the targets.
        num_sample: points of an outline.
        ohem_ratio: negatives for each pixel of text, the hardest first.

    Calling it with the model's outputs (`level_0` … `level_2`, see `FCEHead`) and a batch (`p3_maps`, `p4_maps`,
    `p5_maps`, see `FCETargets`) gives the scalars `loss`, `loss_text`, `loss_center`, `loss_reg_x`, `loss_reg_y`.
    Computed in float32 also under AMP; nothing is read back from the device.
    """

    def __init__(self, fourier_degree: int = 5, num_sample: int = 50, ohem_ratio: float = 3) -> None:
        if fourier_degree < 1 or num_sample < 3:
            raise ValueError(
                f"fourier_degree, num_sample: expected 1 and 3 or more, got {fourier_degree} and {num_sample}"
            )
        if ohem_ratio <= 0:
            raise ValueError(f"ohem_ratio: expected a number above 0, got {ohem_ratio}")
        self.coefficients = 2 * fourier_degree + 1
        self.ohem_ratio = ohem_ratio
        angles = 2 * math.pi / num_sample * np.outer(np.arange(-fourier_degree, fourier_degree + 1), range(num_sample))
        self._cosine, self._sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with paddle.amp.auto_cast(enable=False):
            levels = [self._level(outputs[name], batch[maps]) for name, maps in LEVELS.items()]
            text, center, x, y = (sum(parts[1:], start=parts[0]) for parts in zip(*levels, strict=True))
            return {
                "loss": text + center + x + y,
                "loss_text": text,
                "loss_center": center,
                "loss_reg_x": x,
                "loss_reg_y": y,
            }

    def _level(self, output: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count = self.coefficients
        if output.shape[1] != 4 + 2 * count or maps.shape[1] != 3 + 2 * count:
            raise ValueError(
                f"fourier_degree: {(count - 1) // 2} in the loss, but the head gives {output.shape[1]} maps and the "
                f"targets {maps.shape[1]}; set the same fourier_degree in model.head, targets and loss"
            )
        output, maps = _rows(output.astype("float32")), _rows(maps.astype("float32"))
        text, center, counted = maps[:, 0], maps[:, 1], maps[:, 2]
        positive = text * counted
        some = (positive.sum() > 0).astype("float32")
        loss_text = self._text_loss(_cross_entropy(output[:, :2], text), positive, (1 - text) * counted)
        loss_center = _cross_entropy(output[:, 2:4], center)
        loss_center = _mean(loss_center, positive) + 0.5 * some * _mean(loss_center, 1 - positive)
        weight = (positive * (1 + center) / 2).unsqueeze(1)
        points = self._points(output[:, 4 : 4 + count], output[:, 4 + count :])
        expected = self._points(maps[:, 3 : 3 + count], maps[:, 3 + count :])
        x, y = (
            _mean((weight * F.smooth_l1_loss(a, b, reduction="none")).mean(axis=1), positive)
            for a, b in zip(points, expected, strict=True)
        )
        return loss_text, loss_center, x, y

    def _text_loss(self, loss: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Mean over text and the hardest negatives."""
        texts = positive.sum()
        wanted = (texts * self.ohem_ratio).floor().minimum(negative.sum())
        count = paddle.where(texts > 0, wanted, paddle.full_like(wanted, _NEGATIVES))
        hardest = (loss * negative).sort(descending=True)
        chosen = (paddle.arange(hardest.shape[0], dtype="int64") < count.astype("int64")).astype("float32")
        return ((loss * positive).sum() + (hardest * chosen).sum()) / (texts + count)

    def _points(self, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """x and y [rows, num_sample] of the outlines with these coefficients [rows, 2K + 1]."""
        cosine, sine = paddle.to_tensor(self._cosine), paddle.to_tensor(self._sine)
        x = paddle.matmul(real, cosine) - paddle.matmul(imaginary, sine)
        return x, paddle.matmul(real, sine) + paddle.matmul(imaginary, cosine)


def _rows(maps: Tensor) -> Tensor:
    """[N, C, H, W] as [N · H · W, C]."""
    return maps.transpose([0, 2, 3, 1]).reshape([-1, maps.shape[1]])


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Of two classes, for each row."""
    signed = (logits[:, 1] - logits[:, 0]) * (1 - 2 * target)
    return F.softplus(signed)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of the rows with weight 1; 0 if there is none."""
    return (values * weight).sum() / weight.sum().clip(min=1)
