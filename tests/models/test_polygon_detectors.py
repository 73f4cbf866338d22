"""Networks of detectors with polygons: CT, for which no golden numbers exist, has the names, shapes and number of
PaddleOCR's parameters; FCENet equals PaddleOCR's golden numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_model
from ocrexp.config.compose import compose
from ocrexp.losses.fce import FCELoss
from ocrexp.models.heads.ct import CTHead
from ocrexp.models.layers import bilinear_by_sums, bilinear_upsample
from ocrexp.models.model import OCRModel
from tests.models.test_against_golden import golden_state, norm, sensitivity


def shapes(model: OCRModel) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def test_ct_has_the_parameters_of_paddleocr() -> None:
    model = build_model(compose("train", ["model=ct_r18"]))
    found = shapes(model)
    norm = ("weight", "bias", "_mean", "_variance")
    expected: dict[str, list[int]] = {}
    for level, channels in enumerate((64, 128, 256, 512), start=1):
        expected[f"neck.reduce_layer{level}.conv.weight"] = [128, channels, 1, 1]
        expected |= {f"neck.reduce_layer{level}.bn.{name}": [128] for name in norm}
    for module in ("fpem1", "fpem2"):
        for place in ("3_1", "2_1", "1_1", "2_2", "3_2", "4_2"):
            expected[f"neck.{module}.dwconv{place}.weight"] = [128, 1, 3, 3]
            expected[f"neck.{module}.smooth_layer{place}.conv.weight"] = [128, 128, 1, 1]
            expected |= {f"neck.{module}.smooth_layer{place}.bn.{name}": [128] for name in norm}
    expected |= {"head.conv1.weight": [128, 512, 3, 3], "head.conv1.bias": [128]}
    expected |= {f"head.bn1.{name}": [128] for name in norm}
    expected |= {"head.conv2.weight": [3, 128, 1, 1], "head.conv2.bias": [3]}
    assert list(found.items())[-len(expected) :] == list(expected.items())
    assert all(name.startswith("backbone.") for name in list(found)[: -len(expected)])
    assert sum(int(p.size) for p in model.parameters() if not p.stop_gradient) == 12_127_971


def test_ct_gives_logits_in_training_and_probabilities_of_kernels_in_evaluation() -> None:
    head = CTHead(8, hidden_dim=8)
    features = paddle.randn([2, 8, 16, 24])
    head.train()
    learned = head(features)["maps"]
    head.eval()
    found = head(features)["maps"].numpy()
    assert (learned.shape, found.shape) == ([2, 3, 64, 96], (2, 3, 16, 24))
    assert 0 < found[:, 0].min() < found[:, 0].max() < 1 and found[:, 1:].min() < 0


def test_levels_are_enlarged_alike_in_training_and_in_an_export() -> None:
    x = paddle.randn([2, 3, 4, 5])
    for factor in (2, 4, 8):
        np.testing.assert_allclose(bilinear_by_sums(x, factor), bilinear_upsample(x, factor), atol=1e-5)


@pytest.fixture(scope="module")
def fce(oracle: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], OCRModel]:
    """FCENet's golden numbers, and our network with the golden weights."""
    folder = oracle / "models"
    info = json.loads((folder / "det_r50_vd_dcn_fce.json").read_text())
    with np.load(folder / "det_r50_vd_dcn_fce.npz") as arrays:
        golden = dict(arrays)
    model = build_model(compose("train", ["model=fce_r50"]))
    model.set_state_dict(golden_state(model, info["gain"]))
    return info, golden, model


def test_fce_equals_paddleocr(fce: tuple[dict[str, Any], dict[str, np.ndarray], OCRModel]) -> None:
    """Names, shapes and order of the parameters; maps in evaluation and training; batch statistics, loss, gradients."""
    info, golden, model = fce
    assert list(shapes(model).items()) == [(name, shape) for name, shape, *_ in info["parameters"]]
    assert sum(int(p.size) for p in model.parameters() if not p.stop_gradient) == info["trainable"]
    assert model.backbone.out_channels == info["out_channels"]["backbone"]
    generator = np.random.Generator(np.random.PCG64(info["input"]["seed"]))
    image = paddle.to_tensor(generator.standard_normal(info["input"]["shape"]).astype("float32"))
    ours: dict[str, np.ndarray] = {}
    model.eval()
    with paddle.no_grad():
        features = model.backbone(image)
        levels = model.neck(features)
        ours |= {f"stage.backbone.{i}": feature.numpy() for i, feature in enumerate(features)}
        ours |= {f"stage.neck.{i}": level.numpy() for i, level in enumerate(levels)}
        ours |= {f"eval.{name}": level.numpy() for name, level in model.head(levels).items()}
    model.train()
    outputs = model(image)
    for i in range(3):
        level = outputs[f"level_{i}"].numpy()
        ours[f"train.levels.{i}.0"], ours[f"train.levels.{i}.1"] = level[:, :4], level[:, 4:]
    for name, found in ours.items():
        about = info["outputs"][name]
        limit = max(1e-3 if name.startswith("train") else 1e-4, 5 * sensitivity(about))
        assert list(found.shape) == about["shape"], name
        difference = np.abs(found.reshape(-1)[:: about["stride"]] - golden[name].reshape(-1)).max() / about["std"]
        assert difference <= limit, f"{name}: {difference:.1e} of its std"
    state = model.state_dict()
    for kind in ("mean", "variance"):
        norms = [norm(state[f"{name}._{kind}"].numpy()) for name in info["bn_names"]]
        np.testing.assert_allclose(norms, golden[f"bn_{kind}_norms"], rtol=1e-4)
    batch = {name: paddle.to_tensor(golden[f"label.{name}"]) for name in info["label_order"]}
    losses = FCELoss(fourier_degree=5, num_sample=50)(outputs, batch)
    for name, value in losses.items():
        limit = max(1e-4, 5 * sensitivity(info["outputs"][f"loss.{name}"]))
        assert float(value) == pytest.approx(float(golden[f"loss.{name}"].item()), rel=limit), name
    losses["loss"].backward()
    parameters = dict(model.named_parameters())
    expected = golden["grad_norms"]
    gradients = np.array([norm(parameters[name].grad.numpy()) for name in info["grad_names"]])
    above = expected > 1e-4 * expected.max()
    relative = np.abs(gradients - expected)[above] / expected[above]
    about = info["outputs"]["grad_norms"]["sensitivity"]
    largest = about.get("max", about.get("max_rel_of_norms_above_1e-4_of_the_largest"))
    assert relative.max() <= max(1e-2, 5 * largest)
    assert np.median(relative) <= max(1e-3, 5 * about.get("median", about.get("median_rel_above")))
