"""Every kind of image file is one picture, whether training, `predict` or the deployment classes read it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.images import read_image
from ocrexp.data.synth import backgrounds
from ocrexp.deploy.images import to_bgr
from ocrexp.deploy.sources import find_sources, read_source
from ocrexp.errors import DataError, DeployError
from ocrexp.types import Record, UnusableSample

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"


def page() -> np.ndarray:
    """Letters in color on white, RGB."""
    image = np.full((80, 240, 3), 255, np.uint8)
    cv2.putText(image, "Total 9", (10, 55), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 40, 160), 4, cv2.LINE_AA)
    image[:20, :60] = (0, 200, 240)
    return image


PAGE = page()
RGB = Image.fromarray(PAGE)
GRAY = np.array(RGB.convert("L").convert("RGB"))
MASK = np.uint8(255) - np.array(Image.fromarray(PAGE[20:]).convert("L").resize((240, 80)))  # what is clear in `CLEAR`
CLEAR = Image.fromarray(np.dstack([np.zeros_like(PAGE), np.where(MASK > 90, 255, 0).astype(np.uint8)]))
ON_WHITE = np.where(MASK > 90, 0, 255).astype(np.uint8)[..., None].repeat(3, 2)
INK = np.where(MASK > 90, 0, 255).astype(np.uint8)  # black letters on what a PNG may call clear
DEEP = np.array(RGB.convert("L")).astype(np.uint16) * 257


def keyed() -> Image.Image:
    """A palette of clear and black."""
    image = Image.fromarray((MASK > 90).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 0])
    return image


def written(path: Path, pixels: np.ndarray) -> None:
    assert cv2.imwrite(str(path), pixels)


KINDS: dict[str, tuple[Callable[[Path], object], np.ndarray]] = {
    "plain.gif": (lambda path: RGB.save(path), PAGE),
    "moving.gif": (lambda path: RGB.save(path, save_all=True, append_images=[CLEAR]), PAGE),
    "clear.gif": (lambda path: keyed().save(path, transparency=0), ON_WHITE),
    "plain.avif": (lambda path: RGB.save(path), PAGE),
    "clear.avif": (lambda path: CLEAR.save(path), ON_WHITE),
    "clear.webp": (lambda path: CLEAR.save(path, lossless=True), ON_WHITE),
    "cmyk.jpg": (lambda path: RGB.convert("CMYK").save(path, quality=95), PAGE),
    "cmyk.tif": (lambda path: RGB.convert("CMYK").save(path, compression="tiff_lzw"), PAGE),
    "palette.png": (lambda path: RGB.quantize(64).save(path), PAGE),
    "palette_clear.png": (lambda path: keyed().save(path, transparency=0), ON_WHITE),
    "palette_alpha.png": (lambda path: CLEAR.quantize(32).save(path), ON_WHITE),
    "gray_clear.png": (lambda path: Image.fromarray(INK).save(path, transparency=255), ON_WHITE),
    "two_values_clear.png": (lambda path: Image.fromarray(INK > 0).save(path, transparency=1), ON_WHITE),
    "deep_gray_clear.png": (
        lambda path: Image.fromarray(INK.astype(np.uint16) * 257).save(path, transparency=65535),
        ON_WHITE,
    ),
    "gray_alpha.png": (lambda path: CLEAR.convert("LA").save(path), ON_WHITE),
    "one_bit.tif": (lambda path: CLEAR.getchannel("A").convert("1").save(path, compression="group4"), 255 - ON_WHITE),
    "deep.png": (lambda path: written(path, DEEP), GRAY),
    "deep.tif": (lambda path: written(path, DEEP), GRAY),
    "deep_color.png": (lambda path: written(path, PAGE[..., ::-1].astype(np.uint16) * 257), PAGE),
    "deep_clear.png": (lambda path: written(path, np.array(CLEAR).astype(np.uint16) * 257), ON_WHITE),
    "twelve.png": (lambda path: written(path, DEEP >> 4), GRAY),
    "really_png.jpg": (lambda path: RGB.save(path, "PNG"), PAGE),
    "SHOUTED.PNG": (lambda path: RGB.save(path, "PNG"), PAGE),
    "without_suffix": (lambda path: RGB.save(path, "PNG"), PAGE),
    "avif_without_suffix": (lambda path: RGB.save(path, "AVIF"), PAGE),
}


@pytest.mark.parametrize("name", KINDS)
def test_all_readers_see_the_same_picture(tmp_path: Path, name: str) -> None:
    write, expected = KINDS[name]
    path = tmp_path / name
    try:
        write(path)
    except (KeyError, ValueError, OSError) as error:
        if "avif" not in name:
            raise
        pytest.skip(f"this Pillow writes no AVIF ({error})")
    image = read_image(path)
    assert image.shape == expected.shape
    assert np.abs(image[..., ::-1].astype(int) - expected).mean() < 4
    record = Record(path, ("Total 9",), (), (False,))
    seen = {
        "train": TrainPipeline([record], [], seed=0).sample(0, 0)["image"],
        "eval": EvalPipeline([record], []).sample(0)["image"],
        "predict, named": read_source(find_sources(str(path))[0]),
        "predict, in a folder": read_source(find_sources(str(tmp_path))[0]),
        "a path": to_bgr(path),
        "bytes": to_bgr(path.read_bytes()),
    }
    for where, pixels in seen.items():
        np.testing.assert_array_equal(pixels, image, where)
    with Image.open(path) as opened:
        assert np.abs(to_bgr(opened).astype(int) - image).mean() < 2


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "photo.jpg", "photo"])
def test_a_photo_in_heic_is_refused_with_advice_everywhere(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HEIC + bytes(80))
    record = Record(path, ("Total 9",), (), (False,))
    assert "heif-convert" in EvalPipeline([record], []).sample(0)["unreadable"]
    for read in (
        lambda: TrainPipeline([record], [], seed=0).sample(0, 0),
        lambda: read_source(find_sources(str(path))[0]),
    ):
        with pytest.raises(UnusableSample, match="heif-convert"):
            read()
    with pytest.raises(DeployError, match="heif-convert"):
        to_bgr(path)


def test_photographs_behind_drawn_words_are_read_alike(tmp_path: Path) -> None:
    CLEAR.save(tmp_path / "clear.png")
    RGB.save(tmp_path / "plain.gif")
    (tmp_path / "damaged.jpg").write_bytes(b"no image")
    found = backgrounds.photographs_in(tmp_path)
    assert [path.name for path in found] == ["clear.png", "damaged.jpg", "plain.gif"]
    np.testing.assert_array_equal(backgrounds.decoded(found[0])[..., ::-1], ON_WHITE)
    with pytest.raises(DataError, match=r"damaged\.jpg: .*remove it"):
        backgrounds.decoded(found[1])


def test_damaged_jpegs_print_nothing_whichever_command_reads_them(tmp_path: Path) -> None:
    """libjpeg writes to the error stream past Python; here as loader workers, `synth` and pictures read."""
    data = bytearray(
        cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))[1].tobytes()
    )
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    (tmp_path / "a.jpg").write_bytes(data)
    code = """
import sys
from pathlib import Path
from ocrexp.logs import show_notices
show_notices()
from ocrexp.data.synth import backgrounds
from ocrexp.deploy.sources import find_sources, read_source
from ocrexp.report.recognition import crop_picture
path = Path(sys.argv[1])
backgrounds.decoded(path)
read_source(find_sources(str(path))[0])
crop_picture(path)
import os
if os.fork() == 0:
    from ocrexp.data.images import EncodedImage
    EncodedImage(path).decode(2)
    os._exit(0)
os.wait()
"""
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.jpg")], capture_output=True, check=True)
    assert ran.stderr == b""
