"""Recognizers for text in scenes against PaddleOCR's own code: names, shapes, sizes, outputs, losses; they learn.

The golden numbers come from small networks of PaddleOCR 2.10's classes; weights follow from their names.
"""

import functools
import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn.layer.rnn import RNNBase

from ocrexp.assemble import assemble, build_charset
from ocrexp.assemble.model import build_network
from ocrexp.charset.sources import from_characters
from ocrexp.config.compose import compose
from ocrexp.losses.abinet import ABINetLoss
from ocrexp.losses.cppd import CPPDLoss
from ocrexp.losses.rfl import RFLLoss
from ocrexp.losses.tokens import SPINLoss
from ocrexp.models.heads.abinet import ABINetHead
from ocrexp.models.heads.attention import SPINHead
from ocrexp.models.heads.rfl import RFLHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.rf_adaptor import RFAdaptor
from ocrexp.models.necks.sequence import CascadeRNNEncoder
from ocrexp.models.transforms.ga_spin import GASPIN, Powers

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
    "satrn": [
        "model.backbone.hidden_dim=32",
        *(f"model.head.{part}_{key}" for part in ("enc", "dec") for key in ("layers=1", "heads=2", "inner=64")),
        "targets.max_text_length=5",
    ],
}
TABLES = ("pe", "position_encoder", "position_table")  # of positions, not learned


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
    fill(model)
    return model


def fill(layer: nn.Layer, prefix: str = "") -> None:
    """Gives a layer the golden weights of its names, and sets it to evaluation."""
    for key, value in layer.state_dict().items():
        if not key.endswith((*TABLES, "GridGenerator.fc.weight", "GridGenerator.fc.bias", "stucture_fc2.bias")):
            scale = 0.01 if key.endswith("stucture_fc2.weight") else 1.0
            value.set_value(scale * weights(prefix + key, list(value.shape)))
    layer.eval()


def golden_array(name: str) -> np.ndarray:
    with np.load(HERE / "paddleocr_classes.npz") as arrays:
        return arrays[name]


@pytest.mark.parametrize("name", GOLDEN)
def test_names_shapes_and_sizes_are_paddleocrs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    charset = from_characters([chr(0x4E00 + i) for i in range(CHARACTERS.get(name, 36))])
    # Shapes alone. An LSTM lays its weights out in one piece of memory, which they do not have here.
    monkeypatch.setattr(RNNBase, "flatten_parameters", lambda _: None)
    with paddle.LazyGuard():
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
    expected = golden_array(f"{name}.0")
    assert expected.max() > 2 * expected.mean()
    np.testing.assert_allclose(outputs[model.output].numpy(), expected, atol=2e-5)


def test_corrected_readings_of_abinet_are_paddleocrs() -> None:
    """From a map: ResNet45 is VisionLAN's too."""
    head = ABINetHead(512, 37, num_layers=1, dim_feedforward=64, iter_size=2)
    fill(head, "head.")
    features = np.random.default_rng(1).uniform(-1, 1, size=[2, 512, 8, 32]).astype(np.float32)
    with paddle.no_grad():
        read = head(paddle.to_tensor(features))["abinet"].numpy()
    expected = golden_array("abinet.0")
    assert expected.max() > 2 * expected.mean()
    np.testing.assert_allclose(read, expected, atol=2e-5)


def test_reading_and_counting_of_rfl_are_paddleocrs() -> None:
    """From features of 32 channels: the published backbone comes in one width."""
    neck, head = RFAdaptor(32), RFLHead(32, 38, hidden_size=16)
    fill(neck, "neck.")
    fill(head, "head.")
    features = np.random.default_rng(1).uniform(-1, 1, size=[2, 2, 32, 1, 26]).astype(np.float32)
    with paddle.no_grad():
        counted, read = neck([paddle.to_tensor(each) for each in features])
        assert head.cnt_head is not None
        np.testing.assert_allclose(head.cnt_head(counted).numpy(), golden_array("rfl.0"), atol=1e-5)
        outputs = head([counted, read])
        expected = golden_array("rfl.1")  # 25 steps; ours are one more than characters
        np.testing.assert_allclose(outputs["rfl"].numpy()[:, :25], expected, atol=1e-5)
        neck.drop_training_branches()
        head.drop_training_branches()
        np.testing.assert_array_equal(head(neck([paddle.to_tensor(x) for x in features]))["rfl"], outputs["rfl"])


def test_rectification_and_reading_of_spin_are_paddleocrs() -> None:
    transform, neck, head = GASPIN(), CascadeRNNEncoder(32, 16, (16, 24)), SPINHead(24, 38, hidden_size=16)
    for name, layer in (("transform.", transform), ("neck.", neck), ("head.", head)):
        fill(layer, name)
    image = np.random.default_rng(1).uniform(-1, 1, size=[2, 1, 32, 100]).astype(np.float32)
    features = np.random.default_rng(1).uniform(-1, 1, size=[2, 32, 1, 26]).astype(np.float32)
    with paddle.no_grad():
        rectified = transform(paddle.to_tensor(image)).numpy()
        read = head(neck(paddle.to_tensor(features)))["spin"].numpy()
    expected = golden_array("spin.0")
    assert expected.std() > 1e-3
    np.testing.assert_allclose(rectified[:, :, ::4, ::7], expected, atol=5e-5)  # powers amplify the rounding
    np.testing.assert_allclose(read, golden_array("spin_end.0"), atol=1e-5)


def test_rounding_of_black_pixels_moves_nothing() -> None:
    """PaddleOCR's powers of black pixels depend on it."""
    paddle.seed(0)
    powers, weights = Powers(1, 6), paddle.rand([1, 13])
    image = np.random.default_rng(0).uniform(0, 1, (1, 1, 8, 16)).astype(np.float32)
    image[..., ::2] = 0
    black = paddle.to_tensor(image, stop_gradient=False)
    found = powers(black, weights)
    np.testing.assert_allclose(powers(black + 1e-9, weights).numpy(), found.numpy(), atol=1e-6)
    (found * paddle.rand(found.shape)).sum().backward()
    assert np.isfinite(black.grad.numpy()).all()


def test_losses_are_paddleocrs() -> None:
    label = np.full((2, 26), -100)
    label[0, :4], label[1, :2] = [5, 5, 9, 0], [36, 0]
    rng = np.random.default_rng(7)
    drawn = [rng.normal(size=(2, 26, 37)).astype(np.float32) for _ in range(5)]
    outputs = {"abinet_vision": drawn[0], "abinet_lang": np.stack(drawn[1:3]), "abinet_align": np.stack(drawn[3:])}
    losses = ABINetLoss()(tensors(outputs), tensors({"label_abinet": label}))
    assert floats(losses) == pytest.approx(GOLDEN["abinet"]["loss"], rel=1e-5)

    label = np.zeros((2, 7), np.int64)
    label[0, :5], label[1, :3] = [0, 5, 5, 9, 37], [0, 36, 37]
    rng = np.random.default_rng(7)
    outputs = {"rfl": rng.normal(size=(2, 7, 38))[:, :-1].astype(np.float32)}
    outputs["rfl_counts"] = rng.normal(size=(2, 38)).astype(np.float32)
    losses = RFLLoss(padding=True)(tensors(outputs), tensors({"label_rfl": label}))
    assert floats(losses) == pytest.approx(GOLDEN["rfl"]["loss"], rel=1e-5)

    label[0, :5], label[1, :3] = [0, 5, 5, 9, 1], [0, 36, 1]
    logits = np.random.default_rng(7).normal(size=(2, 6, 38)).astype(np.float32)
    losses = SPINLoss()(tensors({"spin": logits}), tensors({"label_spin": label}))
    assert floats(losses) == pytest.approx(GOLDEN["spin"]["loss"], rel=1e-5)


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, paddle.Tensor]:
    return {key: paddle.to_tensor(value) for key, value in arrays.items()}


def floats(losses: dict[str, paddle.Tensor]) -> dict[str, float]:
    return {key: float(value) for key, value in losses.items()}


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


# The narrowest backbones; ResNet45 has one width.
LEARN = {
    "cppd": SMALL["cppd"],
    "cppd with sampled characters": [*SMALL["cppd"], "model.head.ch=true"],
    "satrn": SMALL["satrn"],
    "rfl": ["model.backbone.out_channels=32", "model.head.hidden_size=16", "model.transform.model_name=small"],
    "spin": ["model.backbone.out_channels=32", "model.neck.hidden_size=16", "model.neck.out_channels=[16,24]"],
}


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
    check_learning(model, lambda: parts.loss(model(images, batch), batch)["loss"])


def test_abinets_head_learns() -> None:
    paddle.seed(1)
    head = ABINetHead(32, 7, max_text_length=6, num_layers=1, dim_feedforward=32)
    label = paddle.to_tensor([[3, 4, 5, 0, -100, -100, -100], [2, 0, -100, -100, -100, -100, -100]])
    features = paddle.randn([2, 32, 8, 32])
    check_learning(head, lambda: ABINetLoss()(head(features), {"label_abinet": label})["loss"])


def check_learning(layer: nn.Layer, compute: Callable[[], paddle.Tensor]) -> None:
    """Each parameter gets a gradient and the loss falls, in some steps: how many depends on the CPU's rounding."""
    adam = paddle.optimizer.AdamW(3e-3, parameters=layer.parameters())
    layer.train()
    learning = [(key, p) for key, p in layer.named_parameters() if not (p.stop_gradient or key.endswith(UNUSED))]
    losses, idle = [], {key for key, _ in learning}
    for _ in range(20):
        loss = compute()
        loss.backward()
        idle -= {key for key, p in learning if p.grad is not None and bool(p.grad.any())}
        losses.append(float(loss))
        if not idle and losses[-1] < 0.9 * losses[0]:
            return
        adam.step()
        adam.clear_grad()
    raise AssertionError(f"without a gradient: {sorted(idle)}; losses: {losses}")


GRIDS = ("grid_generator", "GridGenerator")
# Parameters of PaddleOCR's files that its networks do not use.
UNUSED = (
    "normkv.weight", "normkv.bias", *(f"{each}.fc.{name}" for each in GRIDS for name in ("weight", "bias")),
)  # fmt: skip
