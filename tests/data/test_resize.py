"""Evaluation resize: PaddleOCR's sizes, ratios and pixels, and where it errs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.data.transforms.resize import DetResize
from ocrexp.postprocess.db import DBPostProcess
from ocrexp.types import Sample, UnusableSample

RNG = np.random.default_rng(0)


def resized(image: np.ndarray, **settings: Any) -> Sample:
    return DetResize(**settings)({"image": image}, RNG)


def pattern(height: int, width: int) -> np.ndarray:
    y, x, channel = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((7 * x + 13 * y + 29 * channel + (x * y) % 31 + 3 * ((x * x) % 17)) % 256).astype(np.uint8)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def recorded(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "postprocess" / "det_resize.json").read_text())


def test_sizes_and_ratios_are_those_of_paddleocr(recorded: dict[str, Any]) -> None:
    for name, case in recorded["sizes"].items():
        settings = recorded["modes"][case["mode"]]
        if "raises" in case:
            with pytest.raises(ValueError, match="limit_type"):
                DetResize(**settings)
            continue
        sample = resized(np.zeros((*case["source_hw"], 3), np.uint8), **settings)
        assert list(sample["image"].shape[:2]) == case["result_hw"], name
        assert sample["shape"].dtype == np.float64 and sample["shape"].tolist() == case["shape"], name


@pytest.mark.parametrize(("size", "expected"), [((500, 1000), (640, 1280)), ((1600, 1200), (853 // 32 * 32 + 32, 640))])
def test_the_shorter_side_is_resized_either_way(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image = resized(np.zeros((*size, 3), np.uint8), limit_side_len=640, limit_type="resize_short")["image"]
    assert image.shape[:2] == expected


def test_pixels_are_those_of_paddleocr(recorded: dict[str, Any]) -> None:
    drawn = {name: case for name, case in recorded["pixels"].items() if case["source"].startswith("pattern")}
    assert len(drawn) == 12
    for name, case in drawn.items():
        image = pattern(*case["source_hw"])
        assert sha256(image) == case["source_sha256"]
        assert sha256(resized(image, **recorded["modes"][case["mode"]])["image"]) == case["resized_u8_sha256"], name


def test_pixels_of_real_images_are_those_of_paddleocr(recorded: dict[str, Any], real_data: Path) -> None:
    for name, case in recorded["pixels"].items():
        if case["source"].startswith("pattern"):
            continue
        image = cv2.imread(str(real_data / case["source"]))
        if image is None or sha256(image) != case["source_sha256"]:
            pytest.skip(f"{case['source']}: not here, or this JPEG decoder gives other pixels")
        assert sha256(resized(image, **recorded["modes"][case["mode"]])["image"]) == case["resized_u8_sha256"], name


@pytest.mark.parametrize("size", [(10, 20), (5, 50), (40, 8), (720, 1280)])
def test_shape_leads_boxes_back_to_the_text(size: tuple[int, int]) -> None:
    """Also for images with height + width < 64, which are padded first: there PaddleOCR's boxes are misplaced."""
    image = np.zeros((*size, 3), np.uint8)
    height, width = size
    top, bottom, left, right = height // 4, height * 3 // 4, width // 4, width * 3 // 4
    image[top:bottom, left:right] = 255
    sample = resized(image)
    maps = (sample["image"][None, None, :, :, 0] / 255.0).astype(np.float32)
    found = DBPostProcess(thresh=0.5, unclip_ratio=0.0)({"maps": maps}, {"shape": sample["shape"][None]})[0]
    expected = [[left, top], [right, top], [right, bottom], [left, bottom]]
    np.testing.assert_allclose(found.polygons[0], expected, atol=1)


def test_max_side_bounds_a_long_strip() -> None:
    assert resized(np.zeros((64, 1000, 3), np.uint8))["image"].shape == (736, 11488, 3)
    sample = resized(np.zeros((64, 1000, 3), np.uint8), max_side=4000)
    assert sample["image"].shape == (256, 4000, 3)
    np.testing.assert_allclose(sample["shape"], [64, 1000, 256 / 64, 4.0])
    kept = resized(np.zeros((64, 1000, 3), np.uint8), image_shape=[736, 1280], keep_ratio=True, max_side=2000)
    assert kept["image"].shape == (736, 1984, 3)
    assert resized(np.zeros((720, 1280, 3), np.uint8), max_side=4000)["image"].shape == (736, 1312, 3)


def test_an_image_without_pixels_is_unusable() -> None:
    with pytest.raises(UnusableSample, match="0×20"):
        resized(np.zeros((0, 20, 3), np.uint8))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limit_type": "short"}, "min, max, resize_long"),
        ({"image_shape": [736]}, r"\[height,width\]"),
        ({"image_shape": [736, 1280], "resize_long": 960}, "exclude"),
        ({"keep_ratio": True}, "image_shape"),
        ({"limit_side_len": 0}, "positive"),
        ({"max_side": 16}, "stride"),
    ],
)
def test_settings_that_do_not_fit_are_config_errors(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DetResize(**settings)
