"""RecAug and its parts: each change acts, keeps the text legible, takes any image, depends on the rng alone."""

from typing import Any

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from ocrexp.augment.rec.pixels import Blur, Crop, HSVJitter, Jitter, Noise, Reverse, add_noise, change_hsv, shift
from ocrexp.augment.rec.rec_aug import RecAug
from ocrexp.config.compose import compose
from ocrexp.config.paths import options_of

NONE = dict.fromkeys(
    ("tia_prob", "crop_prob", "reverse_prob", "noise_prob", "jitter_prob", "blur_prob", "hsv_aug_prob"), 0.0
)
OPS = [Crop(1), Blur(1), HSVJitter(1), Jitter(1), Noise(1), Reverse(1), RecAug(*[1.0] * 7)]
IDS = [type(op).__name__ for op in OPS]


def word(height: int = 36, width: int = 120) -> np.ndarray:
    """Coloured text on a lighter ground."""
    image = np.full((48, 160, 3), (190, 200, 230), np.uint8)
    cv2.putText(image, "Word 42", (8, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (60, 30, 90), 3)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_each_acts_and_depends_on_the_rng_alone(op: Any) -> None:
    image = word()
    before = image.copy()
    results = [op({"image": image}, np.random.default_rng(seed))["image"] for seed in (1, 1, 2)]
    assert np.array_equal(results[0], results[1])
    if not isinstance(op, Reverse):
        assert not np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], before)
    assert np.array_equal(image, before), "the given image is not written to"


@pytest.mark.parametrize("op", OPS, ids=IDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 3), (7, 60), (60, 7), (32, 100)])
def test_any_size(op: Any, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for seed in range(8):
        changed = op({"image": image}, np.random.default_rng(seed))["image"]
        assert changed.dtype == np.uint8
        assert changed.ndim == 3
        assert changed.shape[1:] == image.shape[1:]
        assert 0.85 * size[0] <= changed.shape[0] <= size[0]


@pytest.mark.parametrize("name", [name for name in options_of("augment") if name in ("rec", "rec_paddleocr")])
def test_text_of_the_shipped_recipes_stays_legible(name: str) -> None:
    """Ink keeps its contrast and its share of the picture, whatever comes together."""
    node = OmegaConf.to_container(
        compose("train", [f"augment={name}", "model=crnn_mbv3", "preprocess=rec"]).augment.rec_aug
    )
    assert isinstance(node, dict)
    op = RecAug(**{str(key): value for key, value in node.items() if key != "_target_"})
    image = word()
    contrast = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).std()
    for seed in range(150):
        grey = cv2.cvtColor(op({"image": image}, np.random.default_rng(seed))["image"], cv2.COLOR_BGR2GRAY)
        assert 0.45 * contrast < grey.std() < 2 * contrast, seed
        assert abs(float(grey.mean()) - 127.5) < 115, seed


def test_probabilities_are_those_of_their_names() -> None:
    image = word()
    for name in NONE:
        op = RecAug(**{**NONE, name: 1.0})
        changed = [op({"image": image}, np.random.default_rng(seed))["image"] for seed in range(4)]
        assert any(not np.array_equal(each, image) for each in changed), name
    still = RecAug(**NONE)({"image": image}, np.random.default_rng(0))["image"]
    assert np.array_equal(still, image)
    assert np.array_equal(RecAug(**{**NONE, "reverse_prob": 1.0})({"image": image}, np.random.default_rng(0))["image"],
                          255 - image)  # fmt: skip


def test_only_a_share_of_the_rows_is_cut_off() -> None:
    """PaddleOCR cuts up to 8 rows of any image: two thirds of the letters of a line of 20."""
    for height, most in ((20, 2), (7, 0), (60, 7), (300, 8)):
        image = np.arange(height, dtype=np.uint8)[:, None, None].repeat(30, 1).repeat(3, 2)
        rows = [Crop(1).apply(image, np.random.default_rng(seed)) for seed in range(60)]
        cuts = [height - len(each) for each in rows]
        assert max(cuts) == most
        if most:
            assert {int(each[0, 0, 0]) for each in rows if each[0, 0, 0]}, "from above"
            assert any(each[0, 0, 0] == 0 and len(each) < height for each in rows), "and from below"


def test_the_noise_has_the_deviation_asked_for() -> None:
    """PaddleOCR's has 0.16 grey levels: none, but that it is cut to whole numbers, which darkens by half a level."""
    grey = np.full((60, 400, 3), 120, np.uint8)
    for size in (grey, np.full((700, 700, 3), 120, np.uint8)):  # from the stored numbers, and too large for them
        noisy = add_noise(size, 6.0, np.random.default_rng(0)).astype(float)
        assert noisy.std() == pytest.approx(6, rel=0.03)
        assert noisy.mean() == pytest.approx(120, abs=0.2)


def test_hue_wraps_and_grey_stays_grey() -> None:
    """PaddleOCR's HSV change multiplies the brightness by 1.001 at most."""
    red = np.full((4, 4, 3), (0, 0, 200), np.uint8)
    assert change_hsv(red, 1 / 3, 1, 1)[0, 0].argmax() == 1
    assert change_hsv(red, -1 / 3, 1, 1)[0, 0].argmax() == 0
    grey = np.full((4, 4, 3), 90, np.uint8)
    assert np.array_equal(change_hsv(grey, 0.3, 1.5, 1), grey)
    assert change_hsv(red, 0, 1, 0.5)[0, 0, 2] == 100


def test_a_shift_moves_the_whole_image() -> None:
    """PaddleOCR's jitter moves an image below 100 pixels by nothing."""
    image = word()
    moved = shift(image, 3, -2)
    assert moved.shape == image.shape
    assert np.array_equal(moved[:-2, 3:], image[2:, :-3])
    assert shift(image[:1, :1], 5, 5).shape == (1, 1, 3)
    assert any(not np.array_equal(Jitter(1).apply(image, np.random.default_rng(seed)), image) for seed in range(3))


@pytest.mark.parametrize(
    "settings",
    [
        {"tia_prob": -0.1},
        {"crop_prob": 2},
        {"crop_pixels": 0},
        {"crop_share": 0.9},
        {"noise_deviation": [5, 1]},
        {"blur_sigma": [0, 1]},
        {"hue": 0.6},
        {"value": 1.2},
        {"jitter_amount": 0.5},
    ],
)
def test_values_out_of_range_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        RecAug(**settings)
