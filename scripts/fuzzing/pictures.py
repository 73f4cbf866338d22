"""Image files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.changes import changed_bytes
from fuzzing.target import Input, Target

_IMAGE_WORDS = (
    b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc2",
    b"\xff\xc0",
    b"\xff\xe1\x00\x20Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", b"VP8X", b"ALPH", b"ANIM",
    b"ispe", b"ftypavif",
    b"\xff\xff\xff\xff", b"\0\0\0\x01", b"99999 99999\n255\n", b"-1", b"#", b"P6 ", b"\x7f\xff\xff\xff",
)  # fmt: skip


class Images(Target):
    """Image files as training, evaluation and `predict` read them."""

    name = "images"
    silent = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from ocrexp.data.images import limit_pixels
        from ocrexp.quiet import silence_decoders

        silence_decoders()
        limit_pixels(4_000_000)
        self.seeds = _images(folder)

    def example(self, rng: Random) -> Input:
        name, content = rng.choice(self.seeds)
        changed = changed_bytes(rng, content, _IMAGE_WORDS, [other for _, other in self.seeds])
        if name.endswith(".png") and rng.random() < 0.7:
            changed = _with_sums(changed)
        return Input(name if rng.random() < 0.9 else "file", changed)

    def run(self, given: Input) -> None:
        from ocrexp.data.image_size import read_aspects, read_size
        from ocrexp.data.images import EncodedImage
        from ocrexp.deploy.images import to_bgr
        from ocrexp.deploy.sources import find_sources, read_source
        from ocrexp.errors import OcrexpError
        from ocrexp.types import UnusableSample

        path = self.write(given)
        size = read_size(path)
        read_aspects([path])
        refused: Exception | None = None
        try:
            for source in find_sources([str(path)])[:3]:
                _check_pixels(read_source(source, dpi=40))
        except (OcrexpError, UnusableSample) as error:
            refused = error
        try:
            _check_pixels(to_bgr(given.content, max_pixels=4_000_000))
        except OcrexpError as error:
            refused = error
        image = EncodedImage(path)
        if image.reducible(0.25) > 1:
            _check_pixels(image.decode(image.reducible(0.25)))
        pixels = image.decode()
        _check_pixels(pixels)
        if size is not None and pixels.shape[:2] != size:
            raise ValueError(f"the header of {given.name} says {size}, the image has {pixels.shape[:2]}")
        if refused is not None:
            raise refused


def _images(folder: Path) -> list[tuple[str, bytes]]:
    """A small image in each format that this machine can write."""
    import cv2
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (24, 36, 3), dtype=np.uint8)
    deep = rng.integers(0, 65535, (24, 36), dtype=np.uint16)
    alpha = np.dstack([pixels, rng.integers(0, 255, (24, 36), dtype=np.uint8)])
    found = []
    for name, array, flags in (
        ("a.png", pixels, []), ("b.png", deep, []), ("c.png", alpha, []), ("a.jpg", pixels, []),
        ("b.jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]), ("a.tif", pixels, []),
        ("b.tif", deep, []),
        ("c.tif", alpha, []), ("a.webp", pixels, []), ("b.webp", alpha, [cv2.IMWRITE_WEBP_QUALITY, 101]), ("a.bmp",
        pixels, []), ("b.bmp", alpha, []),
        ("a.jp2", pixels, []), ("a.ppm", pixels, []), ("a.pgm", deep, []), ("a.pam", alpha, []), ("a.pfm",
        pixels.astype(np.float32), []),
        ("a.ras", pixels, []), ("a.hdr", pixels.astype(np.float32), []), ("a.avif", pixels, []), ("a.pbm", pixels[...,
        0] // 128 * 255, []),
    ):  # fmt: skip
        try:
            made, data = cv2.imencode(Path(name).suffix, array, flags)
        except cv2.error:
            continue
        if made:
            found.append((name, data.tobytes()))
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, options in (
        ("d.jpg", {"exif": exif}), ("d.png", {"exif": exif}), ("d.webp", {"exif": exif}), ("d.gif", {}), ("a.pdf", {}),
        ("d.tif", {"save_all": True, "append_images": [picture, picture.convert("L")], "compression": "tiff_lzw"}),
        ("e.tif", {"compression": "jpeg"}),
    ):  # fmt: skip
        file = folder / name
        picture.save(file, **options)
        found.append((name, file.read_bytes()))
    for name, mode in (("e.png", "P"), ("f.png", "1"), ("f.tif", "1"), ("e.jpg", "CMYK"), ("f.jpg", "L")):
        picture.convert(mode).save(folder / name)
        found.append((name, (folder / name).read_bytes()))
    return found


def _with_sums(content: bytes) -> bytes:
    """A PNG whose chunks have their right CRC: a decoder goes on to what they hold."""
    result, at = io.BytesIO(), 8
    result.write(content[:8])
    while at + 12 <= len(content):
        length = struct.unpack(">I", content[at : at + 4])[0]
        chunk = content[at + 4 : at + 8 + length]
        result.write(content[at : at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk)))
        at += 12 + length
    return result.getvalue()


def _check_pixels(pixels: Any) -> None:
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
        or not pixels.size
    ):
        raise TypeError(
            f"expected pixels of 8 bits and three channels, got {getattr(pixels, 'shape', None)} {type(pixels)}"
        )
