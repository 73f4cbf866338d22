"""Crops of regions and their normalisation."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.deploy.crop import crop, crop_polygon, crop_quad, widened
from ocrexp.deploy.normalize import Normalizer
from ocrexp.errors import DeployError


def pattern(height: int, width: int) -> np.ndarray:
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((7 * x + 13 * y + 29 * c + (x * y) % 31 + 3 * ((x * x) % 17)) % 256).astype(np.uint8)


IMAGE = pattern(200, 300)


def test_upright_boxes_are_copied() -> None:
    quad = np.array([[40, 20], [140, 20], [140, 60], [40, 60]], np.float32)
    assert np.array_equal(crop_quad(IMAGE, quad), IMAGE[20:60, 40:140])
    corners = np.array([[0, 0], [100, 0], [100, 40], [0, 40]], np.float32)
    warped = cv2.warpPerspective(IMAGE, cv2.getPerspectiveTransform(quad, corners), (100, 40), flags=cv2.INTER_CUBIC)
    assert np.abs(crop_quad(IMAGE, quad).astype(int) - warped).max() <= 1


def test_high_crops_are_turned_anticlockwise() -> None:
    quad = np.array([[40, 20], [80, 20], [80, 80], [40, 80]], np.float32)  # exactly 1.5
    assert np.array_equal(crop_quad(IMAGE, quad), np.rot90(IMAGE[20:80, 40:80]))
    quad = np.array([[40, 20], [81, 20], [81, 80], [40, 80]], np.float32)  # just below
    assert crop_quad(IMAGE, quad).shape == (60, 41, 3)


@pytest.mark.parametrize(
    "quad", [[[10, 10], [10.5, 10], [10.5, 40], [10, 40]], [[10, 10], [60, 10], [60, 10], [10, 10]], [[5, 5]] * 4]
)
def test_a_quad_thinner_than_a_pixel_is_a_thin_crop(quad: list) -> None:
    """PaddleOCR returns the whole image."""
    crop = crop_quad(IMAGE, np.array(quad, np.float32))
    assert min(crop.shape[:2]) == 1
    assert crop.size < IMAGE.size // 100


def test_sizes_and_pixels_are_paddleocrs(oracle: Path, real_data: Path) -> None:
    pipeline = oracle if (oracle / "rotate_crop.json").is_file() else oracle / "pipeline"
    crops = json.loads((pipeline / "rotate_crop.json").read_text())["crops"]
    compared = 0
    for name, facts in crops.items():
        if facts["note"] == "thinner than a pixel":
            continue
        source = facts["source"]
        image = IMAGE if source.startswith("pattern") else cv2.imread(str(real_data / source))
        cropping = crop_quad if "rotate_crop_image" in name else crop_polygon
        crop = cropping(image, np.array(facts["quad"], np.float32))
        assert list(crop.shape[:2]) == facts["crop_hw"], name
        assert np.abs(crop.mean(axis=(0, 1)) - facts["channel_mean"]).max() < 0.1, name
        compared += 1
    assert compared == 16


def test_normalised_as_in_training() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    out = np.full((3, 200, 320), 9, np.float32)
    Normalizer(mean, std)(IMAGE, out)
    expected = ((IMAGE / 255 - mean) / std).transpose(2, 0, 1)
    assert np.abs(out[:, :, :300] - expected).max() < 1e-6
    assert (out[:, :, 300:] == 0).all()  # the padding, after normalisation
    Normalizer(mean, std, "RGB")(IMAGE, out)
    expected = ((IMAGE[..., ::-1] / 255 - mean) / std).transpose(2, 0, 1)
    assert np.abs(out[:, :, :300] - expected).max() < 1e-6
    grey = np.empty((1, 200, 300), np.float32)
    Normalizer([0.5], [0.5])(IMAGE, grey)
    assert np.abs(grey[0] - ((IMAGE @ [0.114, 0.587, 0.299]) / 255 - 0.5) / 0.5).max() < 1e-5


@pytest.mark.parametrize(("mean", "std"), [([0.5], [0.5] * 3), ([0.5] * 2, [0.5] * 2), ([0.5] * 3, [0.5, 0, 0.5])])
def test_values_that_do_not_fit_are_refused(mean: list, std: list) -> None:
    with pytest.raises(DeployError, match="mean, std: expected one or three values each"):
        Normalizer(mean, std)
    with pytest.raises(DeployError, match="expected BGR or RGB"):
        Normalizer([0.5], [0.5], "YUV")


def test_a_margin_is_a_share_of_the_lines_height_on_every_side():
    page = np.zeros((100, 200, 3), np.uint8)
    lying = np.array([[40, 40], [140, 40], [140, 60], [40, 60]], np.float32)
    assert crop(page, lying, margin=0.25).shape == (30, 110, 3)  # 5 pixels on each side
    standing = np.array([[40, 10], [60, 10], [60, 90], [40, 90]], np.float32)
    assert crop(page, standing, margin=0.25).shape == (30, 90, 3)  # turned, of the same height
    slanted = np.array([[0, 0], [30, 40], [22, 46], [-8, 6]], np.float32)
    assert np.allclose(widened(slanted, 0.5)[0], [1, -7], atol=1e-5)


def test_images_larger_than_opencv_4_transforms_are_cropped_alike() -> None:
    long = np.full((60, 40_000, 3), 200, np.uint8)
    long[:, 35_000:35_300] = IMAGE[100:160]
    quad = np.array([[20, 8], [220, 12], [220, 44], [20, 40]], np.float32)
    there = crop_quad(long, quad + np.array([35_000, 0], np.float32)).astype(int)
    here = crop_quad(np.ascontiguousarray(IMAGE[100:160]), quad).astype(int)
    assert there.shape == here.shape
    assert np.abs(there - here).mean() < 1
    line = np.array([[10, 10], [39_000, 14], [39_000, 50], [10, 46]], np.float32)
    height, width = crop_quad(long, line).shape[:2]
    assert width < 32_767
    assert height == pytest.approx(36 * width / 38_990, abs=1.5)
