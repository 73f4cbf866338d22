"""Recognizers for text in scenes: PaddleOCR's parameters and outputs.

The numbers of paddleocr_recognizers.json are what PaddleOCR's networks gave, with weights that follow from their names.
"""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_charset, build_model
from ocrexp.config.compose import compose
from ocrexp.models.layers import count_parameters

GOLDEN = json.loads(Path(__file__).with_name("paddleocr_recognizers.json").read_text(encoding="utf-8"))


def weights(model: paddle.nn.Layer) -> dict[str, np.ndarray]:
    """Of each parameter, drawn by its name, of a shared one by its last name; tables of positions stay."""
    state = {}
    for name, value in model.state_dict().items():
        drawn_by = name.replace("wrap_encoder0.prepare_decoder.emb0", "wrap_encoder1.prepare_decoder.emb0")
        shape, rng = tuple(value.shape), np.random.Generator(np.random.PCG64(zlib.crc32(drawn_by.encode())))
        if name.endswith("pos_table"):
            state[name] = value.numpy()
            continue
        if len(shape) > 1:
            fan_in = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
            drawn = rng.normal(0, 1 / np.sqrt(fan_in), shape)
        elif name.endswith("weight") or name.endswith("_variance"):
            drawn = rng.uniform(0.5, 1.5, shape)
        else:
            drawn = rng.normal(0, 0.1, shape)
        state[name] = drawn.astype(np.float32)
    return state


@pytest.mark.parametrize("name", GOLDEN)
def test_parameters_and_outputs_are_paddleocrs(name: str) -> None:
    golden: dict[str, Any] = GOLDEN[name]
    config = compose("train", [f"model={name}", "charset=en36", *golden.get("overrides", [])])
    model = build_model(config, build_charset(config))
    lines = "\n".join(f"{key} {list(value.shape)}" for key, value in model.state_dict().items())
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == golden["parameters"]
    fixed = golden.get("fixed", 0)  # positions that PaddleOCR counts, and does not train
    assert count_parameters(model) == golden["trainable"] - fixed
    model.transform = None  # which has golden numbers of its own, and amplifies rounding
    model.set_state_dict(weights(model))
    model.eval()
    image = np.random.Generator(np.random.PCG64(0)).standard_normal(golden["image"]).astype(np.float32)
    if golden["image"][1] == 1:
        image = image * 60 + 120  # SRN's gray values are not scaled
    with paddle.no_grad():
        output = model(paddle.to_tensor(image))[model.output].numpy()
    assert list(output.shape) == golden["output"]
    np.testing.assert_allclose(output.reshape(-1)[:: golden["stride"]], golden["values"], atol=1e-5)
