"""SceneAug and its parts: nothing of the text is cut off, strengths are bounded, the rng alone decides."""

from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.augment.rec.deterioration import Deterioration
from ocrexp.augment.rec.scene_aug import SceneAug
from ocrexp.augment.rec.views import Views

ALL = SceneAug(1, 1, 1, 1, poisson=20, blur_sigma=2)


def word(height: int = 36, width: int = 120) -> np.ndarray:
    """Dark text on a lighter ground."""
    image = np.full((48, 160, 3), (190, 200, 230), np.uint8)
    cv2.putText(image, "Word 42", (8, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (60, 30, 90), 3)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (7, 60), (32, 100), (32, 3000)])
def test_any_size_and_the_rng_alone(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = image.copy()
    for seed in range(6):
        one, other = (ALL({"image": image}, np.random.default_rng(seed))["image"] for _ in range(2))
        assert np.array_equal(one, other)
        assert one.dtype == np.uint8
        assert one.ndim == 3
        assert one.shape[0] * one.shape[1] <= 1.1 * max(1 << 18, size[0] * size[1])
    assert np.array_equal(image, before), "the given image is not written to"


@pytest.mark.parametrize("change", ["rotation", "affine", "perspective"])
def test_no_view_cuts_anything_off(change: str) -> None:
    """A frame along the image's edges stays in sight, all four sides of it, and so does what it surrounds."""
    image = np.full((40, 160, 3), 255, np.uint8)
    cv2.rectangle(image, (2, 2), (157, 37), (0, 0, 0), 2)
    cv2.rectangle(image, (60, 15), (100, 25), (0, 0, 255), -1)
    views = Views(1, scale=(1, 1))
    op = {"rotation": views._rotate, "affine": views._affine, "perspective": views._perspective}[change]
    for seed in range(25):
        seen = op(image, np.random.default_rng(seed))
        red = (seen[..., 2] > 150) & (seen[..., 1] < 100)
        assert 0.2 < red.sum() / (41 * 11) < 1.5, seed
        # The frame surrounds the red part: a flood from there does not reach the edges.
        mask = np.zeros((seen.shape[0] + 2, seen.shape[1] + 2), np.uint8)
        passable = (cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY) > 140).astype(np.uint8)
        passable[red] = 1
        cv2.floodFill(passable, mask, [int(x) for x in np.argwhere(red).mean(axis=0)[::-1]], 2)
        border = np.concatenate([passable[0], passable[-1], passable[:, 0], passable[:, -1]])
        assert (border != 2).all(), seed


def test_deteriorations_stay_near_the_image() -> None:
    flat = np.full((60, 400, 3), 120, np.uint8)
    noisy = [Deterioration(1, 20, 0, 0)({"image": flat}, np.random.default_rng(s))["image"] for s in range(20)]
    variances = [float(each.astype(float).var()) for each in noisy]
    assert max(variances) < 21
    assert np.mean(variances) == pytest.approx(4, abs=1.5)  # the mean of beta(1, 4) is a fifth
    for size in (flat, np.full((700, 700, 3), 120, np.uint8)):  # from the stored numbers, and too large for them
        poisson = Deterioration(1, 0, 0, 0, poisson=20)({"image": size}, np.random.default_rng(4))["image"].astype(
            float
        )
        assert poisson.var() == pytest.approx(poisson.mean() - 120, rel=0.03)  # mean and variance are equal
        assert 120 < poisson.mean() < 140
    image = word()
    for op in (Deterioration(1, 0, 6, 0), Deterioration(1, 0, 0, 4), Deterioration(1, 0, 0, 0, blur_sigma=2)):
        changed = [op({"image": image}, np.random.default_rng(seed))["image"] for seed in range(12)]
        assert any(not np.array_equal(each, image) for each in changed)
        assert all(abs(float(each.mean()) - float(image.mean())) < 8 for each in changed)


def test_probabilities_and_types() -> None:
    image = word()
    assert np.array_equal(SceneAug(0, 0, 0, 0)({"image": image}, np.random.default_rng(0))["image"], image)
    for settings in ({"geometry_p": 1}, {"deterioration_p": 1}, {"colorjitter_p": 1}):
        off = {"geometry_p": 0, "deterioration_p": 0, "colorjitter_p": 0}
        changed = SceneAug(**{**off, **settings})({"image": image}, np.random.default_rng(0))["image"]
        assert not np.array_equal(changed, image), settings


@pytest.mark.parametrize(
    "settings",
    [
        {"aug_type": 2}, {"geometry_p": -0.1}, {"colorjitter_p": 2}, {"degrees": -1}, {"scale": [2, 0.5]},
        {"shear": [90, 0]}, {"distortion": 1}, {"motion": -1}, {"pyramid": 7}, {"hue": 0.6},
    ],
)  # fmt: skip
def test_values_out_of_range_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        SceneAug(**settings)
