"""Whatever holds an image becomes 8-bit BGR, or one line says why not."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrexp.deploy.images import to_bgr
from ocrexp.errors import DeployError

COLOUR = np.array([[[10, 100, 200], [50, 60, 70]], [[0, 0, 255], [255, 0, 0]], [[9, 9, 9], [200, 100, 0]]], np.uint8)


def test_arrays() -> None:
    assert np.array_equal(to_bgr(COLOUR), COLOUR)
    grey = COLOUR[..., 0]
    for array in (grey, grey[..., None], np.dstack([grey, grey * 0]), np.dstack([grey, grey * 0 + 255])):
        assert np.array_equal(to_bgr(array), np.repeat(grey[..., None], 3, 2))
    assert np.array_equal(to_bgr((COLOUR.astype(np.uint16) << 8) + 77), COLOUR)
    assert np.array_equal(to_bgr(COLOUR.astype(np.float32)), COLOUR)
    assert np.array_equal(to_bgr(COLOUR / 255), COLOUR)
    assert np.array_equal(to_bgr(COLOUR.astype(np.int64)), COLOUR)
    assert to_bgr(grey > 99).max() == 255
    assert to_bgr(COLOUR[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 0, 3), np.uint8), r"has no pixels \(0×0\)"),
        (np.zeros((3, 0, 3), np.uint8), "has no pixels"),
        (np.zeros((2, 3, 40, 40), np.uint8), r"got \[2, 3, 40, 40\]"),
        (np.zeros((3, 40, 40), np.uint8), r"expected an array \[height, width\]"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.full((4, 4), 70000), "values from 0 to 255"),
        (np.full((4, 4), "a"), "got <U1"),
        (b"", r"empty \(0 bytes\)"),
        (b"no image at all", "cannot be decoded"),
        (None, "expected an array .* got NoneType"),
        ("/nowhere/a.jpg", "/nowhere/a.jpg: image file is missing"),
    ],
)
def test_what_is_no_image_is_one_line(array, message: str) -> None:
    with pytest.raises(DeployError, match=message) as error:
        to_bgr(array)
    assert "\n" not in str(error.value)


def test_files_and_bytes_are_read_as_by_opencv(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    alpha = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    for name, pixels in (("deep.png", deep), ("color.png", alpha[..., :3]), ("grey.png", alpha[..., 0])):
        path = tmp_path / name
        cv2.imwrite(str(path), pixels)
        expected = cv2.imread(str(path))
        for given in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes())):
            assert np.array_equal(to_bgr(given), expected)
        with Image.open(path) as image:
            if name != "deep.png":  # Pillow reads 16-bit colours by its own rounding
                assert np.array_equal(to_bgr(image), expected)
    (tmp_path / "none.png").write_bytes(b"")
    with pytest.raises(DeployError, match="empty"):
        to_bgr(tmp_path / "none.png")


def test_pillow_images_of_every_mode() -> None:
    image = Image.fromarray(COLOUR[..., ::-1])
    assert np.array_equal(to_bgr(image), COLOUR)
    for mode in ("RGBA", "RGBX"):
        assert np.array_equal(to_bgr(image.convert(mode)), COLOUR)
    for mode in ("L", "LA", "P", "1", "CMYK", "YCbCr", "HSV", "LAB", "F"):
        converted = image.convert("RGB").convert(mode) if mode != "LAB" else image
        assert to_bgr(converted).shape == COLOUR.shape
    deep = Image.fromarray((COLOUR[..., 0].astype(np.uint16) << 8) + 99)
    assert np.array_equal(to_bgr(deep)[..., 0], COLOUR[..., 0])


def test_cmyk_files_keep_their_colours(tmp_path: Path) -> None:
    """White paper stays white and black ink black, from the file and by Pillow."""
    page = np.full((64, 64, 3), 255, np.uint8)
    page[:32] = 0
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(page).convert("CMYK").save(path, quality=95)
    for given in (path, path.read_bytes(), Image.open(path)):
        read = to_bgr(given)
        assert read.shape == page.shape
        assert read[:24].max() < 40
        assert read[40:].min() > 215


def test_images_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 60, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
    assert to_bgr(buffer.getvalue()).shape == (60, 20, 3)
    assert to_bgr(Image.open(buffer)).shape == (60, 20, 3)
