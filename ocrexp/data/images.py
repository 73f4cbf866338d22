"""Reading images: header first, pixels when they are needed, at a reduced size where that is enough.

As PaddleOCR reads them (cv2.imdecode with IMREAD_COLOR): 8-bit BGR, EXIF orientation applied (label coordinates belong
to the upright image), grey repeated to three channels, an alpha channel dropped, 16 bits cut to their upper 8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ocrexp.data.lmdb_file import is_entry, read_entry
from ocrexp.types import Image, UnusableSample

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_END_OF_IMAGE = b"\xff\xd9"
# Start-of-frame markers; C4, C8 and CC share their range but mean other things.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers in front of a JPEG's pixels say; height and width are as stored, before any EXIF turn."""

    height: int
    width: int
    orientation: int
    scan_start: int
    progressive: bool


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Parse a JPEG's markers up to its first scan; None if it is not a JPEG or its markers are damaged."""
    if data[:2] != b"\xff\xd8":
        return None
    position, height, width, orientation, progressive = 2, 0, 0, 1, False
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            known = height and width
            return JpegHeader(height, width, orientation, position + 2 + length, progressive) if known else None
        if marker in _FRAME_MARKERS:
            progressive = marker == 0xC2
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            width = int.from_bytes(data[position + 7 : position + 9], "big")
        elif marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\x00\x00":
            orientation = _exif_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return None


def _exif_orientation(tiff: bytes) -> int:
    """The orientation entry (1..8) of the first image directory; 1 where there is none."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], "little" if order == "little" else "big")

    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        start = directory + 2 + 12 * entry
        if number(start, 2) == 0x0112:
            value = number(start + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def read_bytes(path: Path) -> bytes:
    """An image file's bytes; a path may also name an entry of an LMDB folder. Raises UnusableSample with the reason."""
    try:
        data = read_entry(path) if is_entry(path) else path.read_bytes()
    except FileNotFoundError:
        data = None
    except OSError as error:
        raise UnusableSample(f"image file cannot be read ({error.strerror})") from None
    if data is None:
        raise UnusableSample("image file is missing")
    if not data:
        raise UnusableSample("image file is empty (0 bytes)")
    return data


class EncodedImage:
    """An image file in memory whose pixels are decoded on demand; `data` is what the file holds, where it is no file.

    Raises UnusableSample, with a reason that can be counted, for a file that is missing, empty, truncated or no image.
    """

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        self.path = path
        self._data = read_bytes(path) if data is None else data
        self._header = read_jpeg_header(self._data)
        if self._header is not None and self._data.rfind(_END_OF_IMAGE) < self._header.scan_start:
            # Inside the pixel data 0xFF is always followed by 0, so without the end marker the file was cut off; which
            # does no harm where only the marker is missing.
            if not _has_all_pixels(self._data, self._header):
                raise UnusableSample("JPEG file is truncated")
            self._data += _END_OF_IMAGE
        self._pixels: Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright image; of a JPEG without decoding it."""
        if self._header is None:
            return self.decode().shape[:2]
        height, width = self._header.height, self._header.width
        return (width, height) if self._header.orientation >= 5 else (height, width)

    def reducible(self, detail: float) -> int:
        """The largest of 1, 2, 4, 8 by which the decoder may divide the sides and still show `detail` times their
        pixels.

        Only a JPEG decoder skips work for it, and only an unturned image keeps its pixel grid exactly.
        """
        if self._header is None or self._header.orientation != 1:
            return 1
        return next((factor for factor in (8, 4, 2) if detail * factor <= 1 + 1e-9), 1)

    def decode(self, reduction: int = 1) -> Image:
        """Pixels, uint8 (height, width, 3) BGR; with a reduction pixel (i, j) covers that many source pixels a side."""
        if self._pixels is None or reduction != 1:
            pixels = _decode(self._data, reduction)
            if reduction != 1:
                return pixels
            self._pixels = pixels
        return self._pixels


def _decode(data: bytes, reduction: int = 1) -> Image:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[reduction])
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in error.err:
            raise UnusableSample("image is too large to decode (OpenCV takes 2^30 pixels, 2^20 a side)") from None
        raise UnusableSample(f"image file cannot be decoded ({' '.join(error.err.split())})") from None
    if pixels is None:
        raise UnusableSample("image file cannot be decoded")
    return pixels


def _has_all_pixels(data: bytes, header: JpegHeader) -> bool:
    """Whether a JPEG without its end marker has lost nothing else.

    The decoder does not tell (it goes on with zeros), but what is missing it takes from whatever follows: the pixels
    then depend on that. Of a progressive file later scans may be missing as a whole, so its scans must also bring
    every coefficient to its last bit.
    """
    data = data.rstrip(b"\xff")
    if header.progressive and not _scans_are_complete(data):
        return False
    noise = bytes(np.random.default_rng(0).integers(0, 0xFF, 1024, dtype=np.uint8))  # no 0xFF: no markers
    return bool(np.array_equal(_decode(data + _END_OF_IMAGE), _decode(data + noise + _END_OF_IMAGE)))


def _scans_are_complete(data: bytes) -> bool:
    """Whether the scans of a progressive JPEG reach bit 0 of all 64 coefficients of each component (T.81, G.1.1.1)."""
    done: dict[int, set[int]] = {}
    frame = re.search(rb"\xff\xc2..(.....)(.)", data, re.DOTALL)
    if frame is None:
        return False
    components = frame[2][0]
    for scan in re.finditer(rb"\xff\xda..(.)", data, re.DOTALL):
        count, start = scan[1][0], scan.end()
        tail = data[start + 2 * count : start + 2 * count + 3]
        if len(tail) < 3:
            return False
        for component in data[start : start + 2 * count : 2]:
            if tail[2] & 0x0F == 0:  # the lowest bit that this scan brings
                done.setdefault(component, set()).update(range(tail[0], tail[1] + 1))
    return len(done) == components and all(len(coefficients) == 64 for coefficients in done.values())


def read_image(path: Path) -> Image:
    """Decode an image file to uint8 (height, width, 3) BGR. Raises UnusableSample with the reason."""
    return EncodedImage(path).decode()
