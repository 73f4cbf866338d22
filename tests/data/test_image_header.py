"""Headers say format and size without decoding; what asks for too much, or has no end, is refused in bounded time."""

import io
import os
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrexp.data.image_header import image_kind, read_header, tiff_pages
from ocrexp.data.image_size import read_size
from ocrexp.data.images import EncodedImage, limit_pixels, pixel_limit, read_image
from ocrexp.types import UnusableSample

FORMATS = {
    "png": ".png", "jpeg": ".jpg", "tiff": ".tif", "webp": ".webp", "bmp": ".bmp", "gif": ".gif", "jp2": ".jp2",
    "pnm": ".ppm", "ras": ".ras", "hdr": ".hdr", "avif": ".avif",
}  # fmt: skip
PIXELS = np.full((72, 120, 3), 200, np.uint8)


def encoded(suffix: str, pixels: np.ndarray = PIXELS) -> bytes:
    if suffix == ".avif" and not cv2.haveImageWriter("a.avif"):
        pytest.skip("this OpenCV writes no AVIF")
    done, data = cv2.imencode(suffix, pixels.astype(np.float32) / 255 if suffix == ".hdr" else pixels)
    assert done
    return data.tobytes()


@pytest.mark.parametrize(("kind", "suffix"), FORMATS.items())
def test_every_format_tells_its_size(kind: str, suffix: str) -> None:
    header = read_header(encoded(suffix))
    assert header is not None
    assert (header.kind, header.height, header.width) == (kind, 72, 120)


def test_transparent_webp_and_big_tiff_tell_their_size() -> None:
    for data in (encoded(".webp", np.dstack([PIXELS, PIXELS[..., 0]])), _big_tiff(72, 120)):
        header = read_header(data)
        assert header is not None
        assert (header.height, header.width, header.plain) == (72, 120, False)


def test_other_files_are_no_images() -> None:
    for data in (
        b"",
        b"x",
        b"notes about P5 images",
        b"BM",
        bytes(100),
        b"GIF",
        b"\x00\x00\x00\x18ftypisom" + bytes(12),
    ):
        assert image_kind(data) is None
    assert image_kind(b"%PDF-1.7\n") == "pdf"
    assert image_kind(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic") == "heic"


@pytest.mark.parametrize("suffix", FORMATS.values())
def test_truncated_and_changed_headers_raise_nothing_else(suffix: str) -> None:
    data = encoded(suffix)
    rng = np.random.default_rng(0)
    for length in range(min(len(data), 120)):
        read_header(data[:length])
    for _ in range(100):
        changed = bytearray(data)
        for place in rng.integers(0, min(len(data), 200), 4):
            changed[place] = int(rng.integers(256))
        read_header(bytes(changed))


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has side × side pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def test_an_image_that_asks_for_too_much_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(24_000))
    with pytest.raises(UnusableSample, match=r"24000×24000.*576 million pixels.*raise max_pixels to 576000000"):
        read_image(path)
    bits = encoded(".bmp")
    huge = bits[:18] + struct.pack("<ii", 60_000, -60_000) + bits[26:]
    for data in (huge, _big_tiff(60_000, 60_000), b"P5\n# a\n60000 60000\n255\n"):
        with pytest.raises(UnusableSample, match="max_pixels"):
            EncodedImage(tmp_path, data)


def test_the_limit_can_be_changed(tmp_path: Path) -> None:
    before = pixel_limit()
    try:
        limit_pixels(72 * 120 - 1)
        with pytest.raises(UnusableSample, match="max_pixels to 8640"):
            EncodedImage(tmp_path, encoded(".png"))
        assert EncodedImage(tmp_path, encoded(".png"), max_pixels=8640).decode().shape == PIXELS.shape
        limit_pixels(8640)
        assert EncodedImage(tmp_path, encoded(".png")).decode().shape == PIXELS.shape
    finally:
        limit_pixels(before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    started = time.monotonic()
    for path, kind in ((tmp_path / "pipe.png", "named pipe"), (Path("/dev/zero"), "device"), (tmp_path, "folder")):
        with pytest.raises(UnusableSample, match=f"is a {kind}, not an image file; give a file"):
            read_image(path)
        assert read_size(path) is None
    assert time.monotonic() - started < 2


def test_a_file_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(50 << 30)
    with pytest.raises(UnusableSample, match=r"file of 53.7 GB is too large"):
        read_image(tmp_path / "sparse.png")


def test_heic_is_named_with_advice_whatever_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400))
    with pytest.raises(UnusableSample, match=r"HEIC.*convert"):
        read_image(path)


def test_pages_of_a_tiff_have_headers_of_their_own() -> None:
    buffer = io.BytesIO()
    first = Image.fromarray(PIXELS)
    first.save(buffer, "tiff", save_all=True, append_images=[Image.new("I;16", (50, 60))])
    pages = list(tiff_pages(buffer.getvalue()))
    assert [(page.height, page.width, page.plain) for page in pages] == [(72, 120, True), (60, 50, False)]
    looped = bytearray(buffer.getvalue())
    start = int.from_bytes(looped[4:8], "little")
    after = start + 2 + 12 * int.from_bytes(looped[start : start + 2], "little")
    looped[after : after + 4] = looped[4:8]
    assert len(list(tiff_pages(bytes(looped)))) == 1


def _big_tiff(height: int, width: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height), (258, 3, 16), (277, 3, 1)]
    head = b"II+\x00\x08\x00\x00\x00" + struct.pack("<QQ", 16, len(entries))
    return head + b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in entries) + bytes(8)
