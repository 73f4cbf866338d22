"""Reading images: orientation, channels, depth, damage, reduced decoding."""

import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrexp.data.images import EncodedImage, read_image
from ocrexp.data.jpeg_header import read_jpeg_header
from ocrexp.types import UnusableSample

RNG = np.random.default_rng(0)


def smooth(height, width):
    noise = RNG.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_are_applied(tmp_path, orientation):
    """Label coordinates belong to the upright image, as for PaddleOCR's decoding."""
    upright = smooth(48, 80)
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(upright[..., ::-1]).save(path, exif=exif, quality=95)
    encoded = EncodedImage(path)
    expected = cv2.imread(str(path))
    assert encoded.size == expected.shape[:2] == ((80, 48) if orientation >= 5 else (48, 80))
    np.testing.assert_array_equal(encoded.decode(), expected)
    header = read_jpeg_header(path.read_bytes())
    assert (header.height, header.width, header.orientation) == (48, 80, orientation)
    assert encoded.reducible(0.5) == (2 if orientation == 1 else 1)


def test_gray_and_deep_images(tmp_path):
    grey = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))

    deep = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), (deep >> 8).astype(np.uint8))
    assert EncodedImage(tmp_path / "deep.png").size == (20, 30)


def test_damaged_files_say_why(tmp_path):
    path = tmp_path / "a.jpg"
    with pytest.raises(UnusableSample, match="missing"):
        read_image(path)
    path.write_bytes(b"")
    with pytest.raises(UnusableSample, match="0 bytes"):
        read_image(path)
    path.write_bytes(b"not an image at all")
    with pytest.raises(UnusableSample, match="cannot be decoded"):
        read_image(path)
    cv2.imwrite(str(path), smooth(100, 100))
    data = path.read_bytes()
    for end in (len(data) // 2, len(data) - 20):
        path.write_bytes(data[:end])
        with pytest.raises(UnusableSample, match="truncated"):
            read_image(path)
    path.write_bytes(data + b"\0" * 100)  # cameras append things
    assert read_image(path).shape == (100, 100, 3)
    with pytest.raises(UnusableSample, match="folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_without_its_end_marker_is_read_if_nothing_else_is_missing(tmp_path, progressive):
    """PaddleOCR reads it, so an evaluation must; it also reads the rest, grey where pixels are missing."""
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), smooth(100, 120), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    data, whole = path.read_bytes(), read_image(path)
    for end in (len(data) - 2, len(data) - 1):
        path.write_bytes(data[:end])
        np.testing.assert_array_equal(read_image(path), whole)
        assert EncodedImage(path).size == (100, 120)
    ends = [len(data) - 8, len(data) - 40, len(data) // 2]
    if progressive:  # between two scans
        ends += [data.rfind(b"\xff\xda"), data.rfind(b"\xff\xda", 0, data.rfind(b"\xff\xda"))]
    for end in ends:
        path.write_bytes(data[:end])
        with pytest.raises(UnusableSample, match="truncated"):
            read_image(path)


def test_an_image_too_large_to_decode_says_so(tmp_path):
    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    with pytest.raises(UnusableSample, match="1600 million pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_reduced_decoding_keeps_the_pixel_grid(tmp_path, size):
    """Pixel (i, j) of the reduced image is the mean of its block of the whole one."""
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), smooth(*size), [cv2.IMWRITE_JPEG_QUALITY, 95])
    encoded = EncodedImage(path)
    whole = encoded.decode().astype(np.float64)
    for factor in (2, 4):
        rows, columns = size[0] // factor, size[1] // factor
        blocks = whole[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3))
        reduced = encoded.decode(factor)
        assert reduced.shape[:2] == (-(-size[0] // factor), -(-size[1] // factor))
        assert np.abs(reduced[:rows, :columns] - blocks).mean() < 3


def test_reduction_never_loses_needed_detail(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), smooth(64, 64))
    encoded = EncodedImage(path)
    assert [encoded.reducible(detail) for detail in (1, 0.51, 0.5, 0.3, 0.25, 0.125, 0.01)] == [1, 1, 2, 2, 4, 8, 8]
    cv2.imwrite(str(tmp_path / "a.png"), smooth(64, 64))
    assert EncodedImage(tmp_path / "a.png").reducible(0.1) == 1  # it would be decoded whole and then resized


def test_real_images_have_the_header_of_their_pixels(real_data):
    for path in sorted((real_data / "totaltext_tiny" / "images").glob("*.jpg"))[:4]:
        assert EncodedImage(path).size == read_image(path).shape[:2]


def test_a_png_whose_chunk_is_longer_than_the_file_asks_for_no_memory(tmp_path):
    """A decoder makes room for a chunk before it reads it."""
    good = cv2.imencode(".png", smooth(40, 60))[1].tobytes()
    at = good.index(b"IDAT") - 4
    path = tmp_path / "a.png"
    for content in (
        good[:at] + struct.pack(">I", 2_000_000_000) + good[at + 4 :],
        good[:at] + struct.pack(">I", 1_500_000_000) + b"tEXt" + good[at:],
        good[:-20],
    ):
        path.write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(UnusableSample, match="PNG file is truncated"):
            read_image(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    path.write_bytes(good + b"appended")
    assert read_image(path).shape == (40, 60, 3)


def test_pixels_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "a.pfm"
    for value in (np.nan, np.inf, -np.inf):
        pixels = np.full((4, 6), 0.5, np.float32)
        pixels[1, 2] = value
        path.write_bytes(b"Pf\n6 4\n-1.0\n" + pixels.astype("<f4").tobytes())
        with pytest.raises(UnusableSample, match="not finite"):
            read_image(path)


def test_a_turn_counts_only_in_an_exif_block_that_is_one(tmp_path):
    """The header and the decoder must agree on the upright size."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(24, 36)).save(path, exif=exif)
    content = path.read_bytes()
    at = content.index(b"Exif\0\0") + 8
    for place, damage in ((at, b"\x80\x2a"), (at - 2, b"\0M"), (at - 2, b"II"), (at - 2, b"MI"), (at, b"*\0")):
        path.write_bytes(content[:place] + damage + content[place + 2 :])
        encoded = EncodedImage(path)
        assert encoded.size == encoded.decode().shape[:2]
    entry = content.index(b"\x01\x12\x00\x03", at)  # its type and count do not matter to the decoder
    for damage in (b"\x00\x03\x00\xff\x00\x01", b"\x00\x04\x00\x00\x00\x01", b"\x00\x63\x00\x00\x00\x00"):
        path.write_bytes(content[: entry + 2] + damage + content[entry + 8 :])
        encoded = EncodedImage(path)
        assert encoded.size == encoded.decode().shape[:2]
