"""How many steps a recogniser emits."""

from __future__ import annotations

from collections.abc import Sequence

import paddle

from ocrexp.models.model import OCRModel


def ctc_steps(model: OCRModel, image_shape: Sequence[int]) -> int:
    """Steps of the CTC output for images of a shape (channels, height, width); found by running the model on one."""
    training = model.training
    model.eval()
    try:
        with paddle.no_grad():
            return int(model(paddle.zeros([1, *image_shape]))["ctc"].shape[1])
    finally:
        if training:
            model.train()
