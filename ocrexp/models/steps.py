"""How many steps a recognizer emits."""

from __future__ import annotations

import paddle

from ocrexp.models.model import OCRModel


def ctc_steps(model: OCRModel, size: tuple[int, int]) -> int:
    """Steps of the CTC output for images of (height, width); found by running the model on one."""
    training = model.training
    model.eval()
    try:
        with paddle.no_grad():
            return int(model(paddle.zeros([1, *size, 3], "uint8"))["ctc"].shape[1])
    finally:
        if training:
            model.train()
