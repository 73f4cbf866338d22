"""Transparency and deep pixels become what a person sees, the same way wherever an image comes from."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrexp.data.images import EncodedImage, read_image
from ocrexp.data.pixels import is_blank, to_bgr8, turned
from ocrexp.deploy.images import to_bgr


def lettering(ink: int) -> np.ndarray:
    """Letters of one tone on a ground that is clear, BGRA."""
    image = np.zeros((60, 200, 4), np.uint8)
    mask = np.zeros((60, 200), np.uint8)
    cv2.putText(mask, "Total 9", (10, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 3, cv2.LINE_AA)
    image[..., :3], image[..., 3] = ink, mask
    return image


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (120, 255), (255, 0), (230, 0)])
def test_letters_on_a_clear_ground_stand_on_white_or_if_they_are_light_on_black(ink: int, ground: int) -> None:
    image = lettering(ink)
    seen = to_bgr8(image)
    assert (seen[image[..., 3] == 0] == ground).all()
    assert (seen[image[..., 3] == 255] == ink).all()


def test_paper_with_a_clear_margin_stays_on_white() -> None:
    page = np.zeros((100, 100, 4), np.uint8)
    page[5:95, 5:95] = 255
    assert (to_bgr8(page) == 255).all()


def test_an_alpha_channel_that_nobody_filled_is_none() -> None:
    color = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    for alpha in (0, 255):
        np.testing.assert_array_equal(to_bgr8(np.dstack([color, np.full((9, 9), alpha, np.uint8)])), color)


def test_files_bytes_arrays_and_pillow_images_give_the_same(tmp_path: Path) -> None:
    image = lettering(0)
    expected = to_bgr8(image)
    assert expected.min() == 0
    assert expected.max() == 255
    for suffix in (".png", ".tif", ".bmp", ".webp"):
        options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), image, options)
        for given in (path, path.read_bytes()):
            np.testing.assert_array_equal(to_bgr(given), expected, suffix)
        np.testing.assert_array_equal(read_image(path), expected, suffix)  # what training reads
    np.testing.assert_array_equal(to_bgr(image), expected)
    np.testing.assert_array_equal(to_bgr(image[..., 2:]), expected)  # gray and alpha
    rgba = Image.fromarray(image[..., [2, 1, 0, 3]])
    for given in (rgba, rgba.convert("LA")):
        np.testing.assert_array_equal(to_bgr(given), expected)
    palette = rgba.quantize(256)
    assert palette.mode == "P"
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    for given in (palette, buffer.getvalue()):
        assert np.abs(to_bgr(given).astype(int) - expected).mean() < 6
    hard = np.where(image[..., 3] > 127, 1, 0).astype(np.uint8)
    gif = Image.fromarray(hard, "P")
    gif.putpalette([255, 0, 0, 0, 0, 0])
    gif.info["transparency"] = 0
    buffer = io.BytesIO()
    gif.save(buffer, "GIF", transparency=0)
    for given in (gif, buffer.getvalue()):
        np.testing.assert_array_equal(to_bgr(given)[..., 1], np.where(hard, 0, 255))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_transparent_images_are_turned_as_exif_says(orientation: int) -> None:
    image = lettering(0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(image[..., [2, 1, 0, 3]])
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        buffer = io.BytesIO()
        picture.save(buffer, form, exif=exif, **options)
        upright = to_bgr(buffer.getvalue())
        np.testing.assert_array_equal(upright, turned(to_bgr8(image), orientation), form)
        np.testing.assert_array_equal(upright, to_bgr(Image.open(buffer)), form)
        assert EncodedImage(Path("a"), buffer.getvalue()).size == upright.shape[:2]


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_fewer_bits_in_a_container_of_16_are_stretched(tmp_path: Path, bits: int) -> None:
    level = np.linspace(0, 255, 200).astype(np.uint8)[None].repeat(20, 0)
    deep = (level.astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    cv2.imwrite(str(tmp_path / "a.tif"), deep)
    for given in (tmp_path / "a.png", tmp_path / "a.tif", deep, Image.fromarray(deep)):
        assert np.abs(to_bgr(given)[..., 0].astype(int) - level).max() <= 1
    maximum = b"P5\n200 20\n%d\n" % ((1 << bits) - 1)
    half = (deep // 2).astype(">u2").tobytes()  # white is stated, and no pixel has it
    assert np.abs(to_bgr(maximum + half)[..., 0].astype(int) - level // 2).max() <= 1


def test_a_tiff_says_by_its_tags_what_white_is() -> None:
    dim = np.full((20, 30), 1000, np.uint16)
    dim[5] = 0
    for tags in ({281: 4000}, {281: (4000,)}):
        buffer = io.BytesIO()
        Image.fromarray(dim).save(buffer, "TIFF", tiffinfo=tags)
        for given in (buffer.getvalue(), Image.open(buffer)):
            assert abs(int(to_bgr(given)[0, 0, 0]) - 64) <= 1
    assert int(to_bgr(dim)[0, 0, 0]) == 255  # nothing says it: the largest value that occurs


def test_whole_16_bits_are_cut_to_their_upper_8() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    np.testing.assert_array_equal(to_bgr8(deep), (deep >> 8).astype(np.uint8))


def test_black_and_white_pages_are_told_from_written_ones() -> None:
    assert is_blank(np.zeros((9, 9, 3), np.uint8))
    assert is_blank(np.full((9, 9, 3), 250, np.uint8))
    assert not is_blank(to_bgr8(lettering(0)))
