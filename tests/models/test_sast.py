"""SAST's network equals PaddleOCR's, run with the same weights."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_model
from ocrexp.config.compose import compose
from ocrexp.losses.sast import SASTLoss
from ocrexp.models.model import OCRModel
from tests.models.test_against_golden import golden_state

GAIN, STEP = 1.4, 13  # of the golden weights; each of the golden outputs' values that is stored


@pytest.fixture(scope="module")
def model() -> OCRModel:
    return build_model(compose("train", ["model=sast_r50"]))


def test_network_equals_paddleocr(model: OCRModel, golden: Path) -> None:
    """Names, shapes and order of the parameters, and maps in evaluation."""
    with np.load(golden / "models" / "det_r50_vd_sast.npz") as arrays:
        stored = dict(arrays)
    state = model.state_dict()
    assert [[name, list(value.shape)] for name, value in state.items()] == json.loads(str(stored["parameters"]))
    assert sum(int(p.size) for p in model.parameters() if not p.stop_gradient) == 47_739_166
    model.set_state_dict(golden_state(model, GAIN))
    images = np.random.Generator(np.random.PCG64(7)).standard_normal((2, 3, 64, 128)).astype("float32")
    model.eval()
    with paddle.no_grad():
        outputs = model(paddle.to_tensor(images))
    assert tuple(outputs) == model.outputs
    for name, found in outputs.items():
        expected = stored[name]
        difference = np.abs(found.numpy().reshape(-1)[::STEP] - expected).max() / expected.std()
        assert difference < 3e-4, f"{name}: {difference:.1e} of its std"


def test_sides_that_are_no_multiples_of_64_are_taken(model: OCRModel) -> None:
    """PaddleOCR's neck fails for them; pages are resized to multiples of 32."""
    model.eval()
    with paddle.no_grad():
        outputs = model(paddle.randn([1, 3, 96, 32]))
    assert [list(maps.shape) for maps in outputs.values()] == [[1, c, 24, 8] for c in (1, 4, 8, 2)]


def test_loss_is_paddleocrs() -> None:
    """Its numbers for these outputs and targets."""
    generator = np.random.Generator(np.random.PCG64(3))
    size = (8, 8)
    outputs = {
        "f_score": generator.uniform(0, 1, (2, 1, *size)),
        "f_border": generator.normal(0, 1.5, (2, 4, *size)),
        "f_tvo": generator.normal(0, 3, (2, 8, *size)),
        "f_tco": generator.normal(0, 2, (2, 2, *size)),
    }
    batch = {
        "score_map": generator.uniform(0, 1, (2, 1, *size)) > 0.6,
        "border_map": generator.normal(0, 1.5, (2, 5, *size)),
        "training_mask": np.where(generator.uniform(0, 1, (2, 1, *size)) > 0.8, 0.15, 1),
        "tvo_map": generator.normal(0, 3, (2, 9, *size)),
        "tco_map": generator.normal(0, 2, (2, 3, *size)),
    }
    tensors = [{name: paddle.to_tensor(np.float32(value)) for name, value in each.items()} for each in (outputs, batch)]
    losses = {name: float(value) for name, value in SASTLoss()(*tensors).items()}
    expected = {
        "loss": 4.214540004730225,
        "loss_score": 0.6131610870361328,
        "loss_border": -0.31775280833244324,
        "loss_tvo": 2.9040069580078125,
        "loss_tco": -0.291252464056015,
    }
    assert losses == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="tvo_weight: expected 0 or more, got -1"):
        SASTLoss(tvo_weight=-1)
