"""CT's loss against the same written with loops over images and pixels, and on ideal maps."""

import curved_text
import numpy as np
import paddle
import pytest

from ocrexp.data.targets.ct import CTTargets
from ocrexp.losses.ct import CTLoss

SIZE = (64, 96)
POLYGONS = [[[4, 4], [60, 6], [60, 30], [4, 28]], [[10, 36], [90, 36], [90, 60], [10, 60]]]


def batch_of(*pages) -> dict[str, np.ndarray]:
    names = ("instance", "kernel_instance", "kernel_mask", "shift_mask", "shift")
    made = [CTTargets()(curved_text.sample_of(*page, size=SIZE), np.random.default_rng(0)) for page in pages]
    return {name: np.stack([one[name] for one in made]) for name in names}


def loss_of(maps: np.ndarray, batch: dict[str, np.ndarray], **arguments) -> dict[str, float]:
    tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
    return {
        name: float(value) for name, value in CTLoss(**arguments)({"maps": paddle.to_tensor(maps)}, tensors).items()
    }


def by_loops(maps: np.ndarray, batch: dict[str, np.ndarray]) -> tuple[float, float]:
    """PaddleOCR's definition, an image after another."""
    kernels, shifts = [], []
    for row, (logits, *shift) in enumerate(maps):
        kernel, mask = batch["kernel_instance"][row] > 0, batch["kernel_mask"][row] > 0
        count = min(3 * np.count_nonzero(kernel & mask), np.count_nonzero(mask & ~kernel))
        chosen = mask
        if count:
            chosen = mask & (kernel | (logits >= np.sort(logits[mask & ~kernel])[-count]))
        p, t = (1 / (1 + np.exp(-logits.astype(np.float64)))) * chosen, kernel * chosen
        kernels.append(1 - 2 * (p * t).sum() / ((p * p).sum() + 0.001 + (t * t).sum() + 0.001))
        total, wrong = 0.0, 0
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                to_x = min(max(int(np.float32(x) + 10 * shift[0][y, x]), 0), SIZE[1] - 1)
                to_y = min(max(int(np.float32(y) + 10 * shift[1][y, x]), 0), SIZE[0] - 1)
                reached = batch["kernel_instance"][row][to_y, to_x]
                if batch["shift_mask"][row][y, x] and reached != batch["instance"][row][y, x]:
                    wrong += 1
                    for axis in (0, 1):
                        d = abs(shift[axis][y, x] - batch["shift"][row][axis, y, x] / 10)
                        total += 0.5 * d * d / 0.1 if d < 0.1 else d - 0.05
        shifts.append(0.05 * total / (wrong + 1e-6))
    return float(np.mean(kernels)), float(np.mean(shifts))


def test_the_loss_is_paddleocrs() -> None:
    """With an ignored region, an image without text, and shifts beyond the border of an image that is not square."""
    batch = batch_of((POLYGONS, [False, False]), (POLYGONS, [True, False]), ([], []))
    maps = np.random.default_rng(1).normal(0, 1.5, (3, 3, *SIZE)).astype(np.float32)
    found, (kernel, shift) = loss_of(maps, batch), by_loops(maps, batch)
    assert found["loss_kernel"] == pytest.approx(kernel, rel=1e-5)
    assert found["loss_shift"] == pytest.approx(shift, rel=1e-5)
    assert found["loss"] == pytest.approx(kernel + shift, rel=1e-5)


def test_ideal_maps_have_no_loss() -> None:
    batch = batch_of((POLYGONS, [False, False]))
    logits = np.where(batch["kernel_instance"] > 0, 30, -30)
    maps = np.concatenate([logits[:, None], batch["shift"] / 10], axis=1).astype(np.float32)
    found = loss_of(maps, batch)
    assert found["loss_kernel"] < 1e-5 and found["loss_shift"] == 0


@pytest.mark.parametrize("arguments", [{"ohem_ratio": 0}, {"beta": 0}])
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}: expected"):
        CTLoss(**arguments)
