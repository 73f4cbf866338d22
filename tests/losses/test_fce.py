"""FCENet's loss on the targets' own maps, on pages without text, and with another degree; golden numbers are compared
with the network's (tests/models/test_polygon_detectors.py)."""

import curved_text
import numpy as np
import paddle
import pytest

from ocrexp.data.targets.fce import NAMES, FCETargets
from ocrexp.losses.fce import FCELoss


def batch_of(*pages) -> dict[str, np.ndarray]:
    made = [FCETargets()(curved_text.sample_of(page), np.random.default_rng(0)) for page in pages]
    return {name: np.stack([one[name] for one in made]) for name in NAMES}


def loss_of(levels: list[np.ndarray], batch: dict[str, np.ndarray], **arguments) -> dict[str, float]:
    tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
    outputs = {f"level_{i}": paddle.to_tensor(level.astype(np.float32)) for i, level in enumerate(levels)}
    return {name: float(value) for name, value in FCELoss(**arguments)(outputs, tensors).items()}


def test_maps_of_the_targets_have_no_loss_and_others_do() -> None:
    batch = batch_of(curved_text.POLYGONS, [])
    signs = [np.stack([np.zeros_like(m[:, 0]), 60 * m[:, 0] - 30], axis=1) for m in batch.values()]
    centers = [np.stack([np.zeros_like(m[:, 1]), 60 * m[:, 1] - 30], axis=1) for m in batch.values()]
    exact = [np.concatenate([t, c, m[:, 3:]], axis=1) for t, c, m in zip(signs, centers, batch.values(), strict=True)]
    assert loss_of(exact, batch)["loss"] < 1e-5
    moved = [level + np.where(np.arange(26) == 9, 2.0, 0.0)[None, :, None, None] for level in exact]  # by 2 in x
    found = loss_of(moved, batch)
    assert found["loss_reg_x"] > 0.5 and found["loss_reg_y"] < 1e-5 and found["loss_text"] < 1e-5


def test_pages_without_text_have_the_loss_of_their_hardest_pixels_alone() -> None:
    batch = batch_of([])
    found = loss_of([np.zeros((1, 26, *m.shape[2:])) for m in batch.values()], batch)
    assert found["loss_text"] == pytest.approx(3 * np.log(2), rel=1e-5)
    assert found["loss_center"] == found["loss_reg_x"] == found["loss_reg_y"] == 0


def test_another_degree_than_the_targets_is_refused() -> None:
    batch = batch_of(curved_text.POLYGONS)
    with pytest.raises(ValueError, match=r"^fourier_degree: 4 in the loss.*set the same"):
        loss_of([np.zeros((1, 26, *m.shape[2:])) for m in batch.values()], batch, fourier_degree=4)


@pytest.mark.parametrize("arguments", [{"fourier_degree": 0}, {"ohem_ratio": 0}])
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        FCELoss(**arguments)
