"""CT's network, for which no golden numbers exist: names, shapes and number of PaddleOCR's parameters, and its maps."""

import numpy as np
import paddle

from ocrexp.assemble import build_model
from ocrexp.config.compose import compose
from ocrexp.models.heads.ct import CTHead
from ocrexp.models.layers import bilinear_by_sums, bilinear_upsample
from ocrexp.models.model import OCRModel


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
