"""Warps of text lines: the least squares they are named for, one resampling, no fold, no letter lost."""

from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.augment.rec import tia
from ocrexp.augment.rec.mls import ControlPoints, warp
from ocrexp.augment.rec.tia import TIA, Distort, Perspective, Stretch


def line(height: int = 40, width: int = 300) -> np.ndarray:
    """Dark text on light ground."""
    image = np.full((48, 360, 3), 230, np.uint8)
    cv2.putText(image, "Amount 1234.50", (12, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (30, 40, 20), 2)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def grid(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return (x + 1j * y).astype(np.complex128)


def test_every_point_has_the_similarity_that_fits_its_neighbourhood_best() -> None:
    """Against least squares solved for each point by itself, as the paper states them."""
    rng = np.random.default_rng(0)
    before = rng.random(9) * 100 + 1j * rng.random(9) * 40
    after = before + rng.normal(0, 4, 9) + 1j * rng.normal(0, 4, 9)
    points = rng.random(30) * 100 + 1j * rng.random(30) * 40
    expected = []
    for v in points:
        root = 1 / np.abs(v - after)  # of the weight
        rows = np.concatenate([root * after, root])[None].reshape(2, -1).T  # turn * after + move = before
        turn, move = np.linalg.lstsq(rows, root * before, rcond=None)[0]
        expected.append(turn * v + move)
    assert ControlPoints(before, after).source_of(points) == pytest.approx(np.array(expected), abs=1e-6)


def test_control_points_go_where_they_are_sent() -> None:
    before = np.array([0, 99, 39j, 99 + 39j, 50 + 20j])
    after = before + np.array([3 + 2j, -4 + 1j, 2 - 3j, -1 - 1j, 5 + 4j])
    assert ControlPoints(before, after).source_of(after) == pytest.approx(before, abs=1e-3)


def test_points_that_stay_leave_the_image_as_it_is() -> None:
    corners = np.array([0, 299, 39j, 299 + 39j])
    image = line()
    assert np.array_equal(warp(image, [ControlPoints(corners, corners)]), image)


def test_a_translation_moves_every_pixel() -> None:
    corners = np.array([0, 299, 39j, 299 + 39j])
    image = line()
    moved = warp(image, [ControlPoints(corners, corners + 7 + 2j)])
    assert np.array_equal(moved[2:, 7:], image[:-2, :-7])
    assert np.array_equal(moved[0], moved[1]), "edges are repeated"


def test_steps_in_one_resampling_are_the_steps_one_after_another() -> None:
    image = cv2.GaussianBlur(line(80, 300), (0, 0), 3)
    rng = np.random.default_rng(3)
    first, second = tia.stretch(80, 300, 4, 0.5, rng), tia.perspective(80, 300, 0.2, rng)
    together = warp(image, [first, second]).astype(int)
    apart = warp(warp(image, [first]), [second]).astype(int)
    assert np.abs(together - apart)[8:-8, 8:-8].mean() < 1.5
    other_order = warp(image, [second, first]).astype(int)
    assert np.abs(together - other_order).mean() > 2 * np.abs(together - apart).mean()


def test_four_channels_resample_to_the_pixels_of_three() -> None:
    image = np.random.default_rng(0).integers(0, 256, (37, 91, 3), dtype=np.uint8)
    field = (np.random.default_rng(1).random((37, 91, 2)) * (90, 36)).astype(np.float32)
    four = cv2.remap(cv2.cvtColor(image, cv2.COLOR_BGR2BGRA), field, None, cv2.INTER_LINEAR)
    three = cv2.remap(image, field, None, cv2.INTER_LINEAR)
    assert np.array_equal(cv2.cvtColor(four, cv2.COLOR_BGRA2BGR), three)


@pytest.mark.parametrize("size", [(32, 100), (40, 300), (30, 700), (60, 30)])
def test_a_distorted_line_stays_in_reach_and_in_order(size: tuple[int, int]) -> None:
    """PaddleOCR bounds moves up and down by the width of a segment alone: those of a long line exceed its height."""
    height, width = size
    points = grid(height, width)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        field = points.ravel()
        for step in (tia.perspective(height, width, 0.3, rng), tia.stretch(height, width, 4, 0.8, rng),
                     tia.distort(height, width, 4, 0.333, rng)):  # fmt: skip
            field = step.source_of(field)
        field = field.reshape(points.shape)
        assert np.abs((field - points).imag).mean() < 0.3 * height
        assert np.abs((field - points).real).mean() < 0.15 * width
        along = np.diff(field.real, axis=1)[1:-1]
        assert (along > 0).mean() > 0.999, "letters keep their order from left to right"


def test_ink_stays_in_the_image() -> None:
    """The text is not moved out, thinned away or smeared over the image."""
    image = line()
    ink = (255.0 - image[..., 0] - 25).clip(0).sum()
    for seed in range(40):
        changed = TIA(1).apply(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert 0.5 < (255.0 - changed[..., 0] - 25).clip(0).sum() / ink < 1.6


@pytest.mark.parametrize("op", [TIA(1), Distort(1), Stretch(1), Perspective(1)])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 90), (8, 8), (9, 300), (300, 9), (33, 101)])
def test_any_size(op: TIA, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = image.copy()
    for seed in range(5):
        changed = op.apply(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
    assert np.array_equal(image, before), "the given image is not written to"
    assert (min(size) >= 8) or np.array_equal(changed, image)


def test_p_is_the_probability_and_the_rng_decides_alone() -> None:
    image = line()
    changed = [
        not np.array_equal(TIA(0.3)({"image": image}, np.random.default_rng(seed))["image"], image)
        for seed in range(200)
    ]
    assert 0.2 < np.mean(changed) < 0.4
    one, two = (TIA(1).apply(image, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "settings", [{"p": 1.5}, {"distort": 0.6}, {"stretch": 1}, {"perspective": 0.5}, {"segments": [6, 3]}]
)
def test_values_out_of_range_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        TIA(**settings)
