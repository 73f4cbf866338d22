"""Recognizers for text in scenes against PaddleOCR's own code: names, shapes, sizes, outputs, losses; they learn.

The golden numbers come from small networks of PaddleOCR 2.10's classes; weights follow from their names.
"""

import functools
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from ocrexp.assemble import assemble, build_charset
from ocrexp.assemble.model import build_network
from ocrexp.charset.sources import from_characters
from ocrexp.config.compose import compose
from ocrexp.losses.cppd import CPPDLoss
from ocrexp.models.model import OCRModel

HERE = Path(__file__).parents[1] / "golden" / "rec"
GOLDEN = json.loads((HERE / "paddleocr_classes.json").read_text(encoding="utf-8"))
CHARACTERS = {"satrn": 90}  # of the published file; others: 36

# Overrides that make the golden networks small.
SMALL = {
    "cppd": [
        "model.backbone.embed_dim=[32,64,64]",
        "model.backbone.depth=[1,1,1]",
        "model.backbone.num_heads=[1,2,2]",
        "model.backbone.mixer=[Conv,Conv,Global]",
        "model.head.num_layer=1",
    ],
}


@functools.cache
def composed(name: str, *overrides: str) -> Any:
    return compose("train", [f"model={name}", "charset=en36", *overrides])


def digest(layer: nn.Layer) -> str:
    lines = (f"{key} {list(value.shape)}" for key, value in sorted(layer.state_dict().items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def weights(name: str, shape: list[int]) -> np.ndarray:
    """What the golden networks have under this name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("_variance"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith(".weight") and len(shape) == 1:
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    fan = int(np.prod(shape[1:])) if len(shape) > 2 else (shape[0] if shape else 1)
    deviation = (1 / max(fan, 1)) ** 0.5 if len(shape) > 1 else 0.1
    return (rng.normal(size=shape) * deviation).astype(np.float32)


def golden_model(name: str) -> OCRModel:
    config = composed(name, *SMALL[name])
    model = build_network(config, build_charset(config))
    for key, value in model.state_dict().items():
        value.set_value(weights(key, list(value.shape)))
    model.eval()
    return model


@pytest.mark.parametrize("name", SMALL)
def test_names_shapes_and_sizes_are_paddleocrs(name: str) -> None:
    charset = from_characters([chr(0x4E00 + i) for i in range(CHARACTERS.get(name, 36))])
    with paddle.LazyGuard():  # shapes alone
        model = build_network(composed(name), charset)
    assert digest(model) == GOLDEN[name]["digest"]
    assert sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient) == GOLDEN[name]["parameters"]


@pytest.mark.parametrize("name", SMALL)
def test_outputs_are_paddleocrs(name: str) -> None:
    model = golden_model(name)
    assert digest(model) == GOLDEN[name]["small"]
    height, width = composed(name).model.image_shape
    image = np.random.default_rng(1).uniform(-1, 1, size=[2, 3, height, width]).astype(np.float32)
    with paddle.no_grad():
        outputs = model(paddle.to_tensor(image))
    with np.load(HERE / "paddleocr_classes.npz") as arrays:
        expected = arrays[f"{name}.0"]
    assert expected.max() > 2 * expected.mean()
    np.testing.assert_allclose(outputs[model.output].numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("smoothing", [True, False])
def test_the_loss_of_cppd_is_paddleocrs(smoothing: bool) -> None:
    rng = np.random.default_rng(7)
    shapes = {"cppd": (2, 26, 37), "cppd_counts": (2, 37, 25), "cppd_positions": (2, 26)}
    outputs = {key: paddle.to_tensor(rng.normal(size=shape).astype(np.float32)) for key, shape in shapes.items()}
    outputs["cppd_nodes"] = paddle.arange(37).expand([2, -1])
    label = np.full((2, 26), -100)
    label[0, :4], label[1, :2] = [5, 5, 9, 0], [36, 0]
    losses = CPPDLoss(smoothing, sideloss_weight=0.5)(outputs, {"label_cppd": paddle.to_tensor(label)})
    expected = GOLDEN["cppd"]["loss"]["smoothed" if smoothing else "plain"]
    assert {key: float(value) for key, value in losses.items()} == pytest.approx(expected, rel=1e-5)


LEARN = {"cppd": SMALL["cppd"], "cppd with sampled characters": [*SMALL["cppd"], "model.head.ch=true"]}


@pytest.mark.parametrize("name", LEARN)
def test_every_parameter_learns_and_the_loss_falls(name: str) -> None:
    paddle.seed(1)
    parts = assemble(composed(name.split()[0], *LEARN[name], "targets.max_text_length=6"))
    model, targets = parts.model, parts.train_transforms[-1]
    rng = np.random.default_rng(0)
    samples = [targets({"texts": [text]}, rng) for text in ("abba", "2x")]
    kind = f"label_{parts.config.targets.kinds[0]}"
    batch = {key: paddle.to_tensor(np.stack([sample[key] for sample in samples])) for key in (kind, "length")}
    height, width = parts.config.model.image_shape
    images = paddle.to_tensor(rng.integers(0, 255, (2, height, width, 3), dtype=np.uint8))
    adam = paddle.optimizer.AdamW(3e-3, parameters=model.parameters())
    model.train()
    losses = []
    for _ in range(6):
        loss = parts.loss(model(images, batch), batch)["loss"]
        loss.backward()
        if not losses:
            named = [(key, p) for key, p in model.named_parameters() if not p.stop_gradient]
            idle = {key for key, p in named if p.grad is None or not p.grad.any()}
            assert not {key for key in idle if not key.endswith(UNUSED)}
        losses.append(float(loss))
        adam.step()
        adam.clear_grad()
    assert losses[-1] < 0.9 * losses[0]


# Parameters of PaddleOCR's files that its networks do not use.
UNUSED = ("normkv.weight", "normkv.bias")
