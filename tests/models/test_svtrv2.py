"""SVTRv2: the paper's sizes, learning on images of another height, wrong values."""

from functools import partial

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_charset, build_model
from ocrexp.config.compose import compose
from ocrexp.losses.ctc import CTCLoss
from ocrexp.models.backbones.svtrv2 import SVTRv2
from ocrexp.models.heads.ctc import CTCHead
from ocrexp.models.layers import count_parameters
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.rearrangement import FeatureRearrangement


def small_model() -> OCRModel:
    backbone = SVTRv2(embed_dim=(8, 16, 32), depth=(1, 2, 1), conv_blocks=(1, 1, 0), num_heads=(1, 2, 4))
    head = partial(CTCHead, out_channels=5)
    return OCRModel(backbone, FeatureRearrangement, head=head, normalize={"mean": [0.5] * 3, "std": [0.5] * 3})


@pytest.mark.parametrize(("size", "millions"), [("tiny", 5.13), ("small", 11.25), ("base", 19.76)])
def test_sizes_are_the_papers(size: str, millions: float) -> None:
    """With OpenOCR's 94 characters and the blank."""
    config = compose("train", [f"model=svtrv2_{size}", "charset=en94"])
    model = build_model(config, build_charset(config))
    assert model.head.out_channels == 95
    assert round(count_parameters(model) / 1e6, 2) == millions


def test_every_parameter_learns_and_the_loss_falls() -> None:
    paddle.seed(1)
    model = small_model()
    model.train()
    images = paddle.to_tensor(np.random.default_rng(0).integers(0, 255, (4, 40, 64, 3), dtype=np.uint8))
    batch = {
        "label_ctc": paddle.to_tensor([[1, 2, 3], [4, 3, 2], [1, 1, 2], [3, 0, 0]]),
        "length": paddle.to_tensor([3, 3, 3, 1]),
    }
    adam = paddle.optimizer.AdamW(1e-2, parameters=model.parameters())
    losses = []
    for _ in range(12):
        loss = CTCLoss()(model(images), batch)["loss"]
        loss.backward()
        if not losses:
            idle = [
                name
                for name, p in model.named_parameters()
                if not p.stop_gradient and (p.grad is None or not p.grad.any())
            ]
            assert idle == []
        losses.append(float(loss))
        adam.step()
        adam.clear_grad()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": [3, 3]}, r"^depth: expected 3 values"),
        ({"conv_blocks": [4, 3, 0]}, r"^conv_blocks: expected at most \[3, 6, 3\]"),
        ({"num_heads": [3, 4, 8]}, r"^num_heads: expected divisors"),
        ({"strides": [[1, 1]]}, r"^strides: expected 2 pairs"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SVTRv2(**values)  # type: ignore[arg-type]
