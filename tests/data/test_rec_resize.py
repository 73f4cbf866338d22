"""Resize of text images: PaddleOCR's rules to the pixel, and images at the edge of what can be used."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.data.transforms.rec_resize import PADDING, RecResize, SARResize
from ocrexp.types import Sample, UnusableSample

RNG = np.random.default_rng(0)


def pattern(height: int, width: int) -> np.ndarray:
    y, x, channel = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((7 * x + 13 * y + 29 * channel + (x * y) % 31 + 3 * ((x * x) % 17)) % 256).astype(np.uint8)


def source_image(source: str) -> np.ndarray | None:
    """The pattern or the real image of that name; None where it is not here."""
    if source.startswith("pattern:"):
        return pattern(*map(int, source.removeprefix("pattern:").split("x")))
    return cv2.imread(str(Path(os.environ.get("OCREXP_DATA", "")) / source))


def normalised(sample: Sample) -> np.ndarray:
    """What the model makes of the sample: [3, H, W] float32, 0 where it is padding."""
    tensor = sample["image"].astype(np.float32).transpose(2, 0, 1) / 255
    tensor -= 0.5
    tensor /= 0.5
    tensor[:, :, sample["valid_width"] :] = 0
    return tensor


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def recorded(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "rec" / "resize.json").read_text())


def make(op: dict[str, Any]) -> Any:
    """Our transform for a recorded operator; `min_side` 1, as PaddleOCR takes any image."""
    channels_and_shape = op["image_shape"]
    if op["operator"] == "SARRecResizeImg":
        _, height, min_width, width = channels_and_shape
        return SARResize([height, width], min_width, op["width_downsample_ratio"], min_side=1)
    widen = bool(op.get("eval_mode") or (op.get("infer_mode") and op["character_dict_path"]))
    return RecResize(channels_and_shape[1:], padding=op.get("padding", True), widen=widen, max_width=10_000, min_side=1)


def test_pixels_are_those_of_paddleocr(recorded: dict[str, Any]) -> None:
    compared = set()
    for op, source, source_sha, shape, valid_ratio, sha, resized_shape in recorded["results"]:
        image = source_image(source)
        if image is None or sha256(image)[:16] != source_sha:
            continue  # a real image that is not here, or decoded by another JPEG library
        sample = make(recorded["ops"][op])({"image": image}, RNG)
        assert sample["image"].dtype == np.uint8
        tensor = normalised(sample)
        assert list(tensor.shape) == shape, (op, source)
        assert sample["valid_ratio"] == pytest.approx(valid_ratio, abs=1e-12), (op, source)
        assert sha256(tensor) == sha, (op, source)
        if resized_shape:
            black = np.flatnonzero(sample["image"].any(axis=(0, 2)))
            assert black[-1] < resized_shape[2]
        compared.add((op, source))
    assert len(compared) >= 110, "patterns alone are 11 images of 10 operators"


def test_a_grey_image_is_that_of_paddleocr_and_keeps_three_channels(recorded: dict[str, Any]) -> None:
    sample = RecResize([32, 100], gray=True)({"image": pattern(30, 80)}, RNG)
    assert sample["image"].shape == (32, 100, 3)
    tensor = normalised(sample)
    assert np.array_equal(tensor[0], tensor[2])
    assert sample["valid_ratio"] == recorded["gray"]["valid_ratio"]
    assert tensor[0].mean() == pytest.approx(recorded["gray"]["mean"], abs=1e-6)
    assert tensor[0].std() == pytest.approx(recorded["gray"]["std"], abs=1e-6)


@pytest.mark.parametrize(("name", "size"), [("pil_lanczos", (32, 100)), ("pil_bicubic", (224, 224))])
def test_pillow_filters_are_pillows(name: str, size: tuple[int, int]) -> None:
    """NRTR and ViTSTR resize grey images with Pillow, whose filters grow when they shrink an image."""
    from PIL import Image

    image = pattern(90, 310)
    sample = RecResize(size, padding=False, interpolation=name, gray=True)({"image": image}, RNG)
    resample = {"pil_lanczos": Image.Resampling.LANCZOS, "pil_bicubic": Image.Resampling.BICUBIC}[name]
    grey = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)).resize(size[::-1], resample)
    assert np.array_equal(sample["image"][..., 1], np.asarray(grey))
    opencv = RecResize(size, padding=False, interpolation="cubic", gray=True)({"image": image}, RNG)
    assert not np.array_equal(opencv["image"], sample["image"])


def test_padding_is_grey_at_the_right() -> None:
    sample = RecResize([32, 100])({"image": np.zeros((32, 40, 3), np.uint8)}, RNG)
    assert sample["valid_width"] == 40
    assert sample["valid_ratio"] == 0.4
    assert (sample["image"][:, 40:] == PADDING).all()
    assert not sample["image"][:, :40].any()


@pytest.mark.parametrize(("width", "valid"), [(10, 64), (20, 64), (21, 128), (60, 192), (61, 256), (200, 256)])
def test_srns_images_are_a_whole_number_of_heights_wide(width: int, valid: int) -> None:
    """PaddleOCR's SRNRecResizeImg: 1, 2 or 3 times the height, otherwise the whole width."""
    image = RNG.integers(0, 256, (20, width, 3), dtype=np.uint8)
    sample = RecResize([64, 256], whole_aspect=True)({"image": image}, RNG)
    assert sample["valid_width"] == valid
    np.testing.assert_array_equal(sample["image"][:, :valid], cv2.resize(image, (valid, 64)))


def test_the_size_of_the_batch_wins() -> None:
    for transform in (RecResize([32, 320]), RecResize([32, 320], widen=True), SARResize([48, 160])):
        sample = transform({"image": pattern(30, 900), "size": (64, 256)}, RNG)
        assert sample["image"].shape == (64, 256, 3)


def test_a_widened_image_has_its_own_aspect_up_to_the_bound() -> None:
    assert RecResize([32, 320], widen=True)({"image": pattern(20, 400)}, RNG)["image"].shape == (32, 640, 3)
    stepped = RecResize([32, 320], widen=True, width_step=32)({"image": pattern(20, 401)}, RNG)
    assert stepped["image"].shape == (32, 672, 3)
    assert stepped["valid_width"] == 642
    bounded = RecResize([32, 320], widen=True, max_width=1000)({"image": pattern(10, 5000)}, RNG)
    assert bounded["image"].shape == (32, 1000, 3)
    assert RecResize([48, 323], widen=True)({"image": pattern(48, 100)}, RNG)["image"].shape == (48, 323, 3)


@pytest.mark.parametrize("make_transform", [RecResize, SARResize])
@pytest.mark.parametrize("size", [(4, 4), (200, 4), (4, 200), (4, 30_000), (20_000, 5)])
def test_extreme_images_are_usable(make_transform: Any, size: tuple[int, int]) -> None:
    sample = make_transform([32, 320])({"image": np.full((*size, 3), 90, np.uint8)}, RNG)
    assert sample["image"].shape == (32, 320, 3)
    assert 1 <= sample["valid_width"] <= 320
    assert 0 < sample["valid_ratio"] <= 1


@pytest.mark.parametrize("size", [(30, 3), (1, 100), (3, 3)])
def test_an_image_of_a_few_pixels_is_refused_with_the_reason(size: tuple[int, int]) -> None:
    for transform in (RecResize([32, 320]), SARResize([48, 160])):
        with pytest.raises(UnusableSample, match=r"below 4 pixels \(min_side\)"):
            transform({"image": np.zeros((*size, 3), np.uint8)}, RNG)
    with pytest.raises(UnusableSample, match="without pixels"):
        RecResize([32, 320])({"image": np.zeros((0, 10, 3), np.uint8)}, RNG)
    assert RecResize([32, 320], min_side=1)({"image": np.zeros((*size, 3), np.uint8)}, RNG)["valid_width"] >= 1


@pytest.mark.parametrize(
    "settings",
    [
        {"image_shape": [3, 32, 100]},
        {"image_shape": [0, 100]},
        {"interpolation": "sinc"},
        {"widen": True, "padding": False},
        {"widen": True, "max_width": 64},
        {"min_side": 0},
        {"whole_aspect": True, "padding": False},
    ],
)
def test_values_that_contradict_each_other_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="|".join(settings)):
        RecResize(**{"image_shape": [32, 100], **settings})
    with pytest.raises(ValueError, match="min_width"):
        SARResize([48, 160], min_width=200)
