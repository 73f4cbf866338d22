"""Reading images: header first, pixels when they are needed, at a reduced size where that is enough.

As PaddleOCR reads them (cv2.imdecode with IMREAD_COLOR): 8-bit BGR, EXIF orientation applied (label coordinates belong
to the upright image), gray repeated to three channels. Other than there, transparency is laid on white (see
`ocrexp.data.pixels`) and 12 bits in a container of 16 are stretched. No image is decoded before its header was checked
against a limit on pixels.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.image_header import ImageHeader, png_chunks_fit, read_header
from ocrexp.data.jpeg_header import JpegHeader, read_jpeg_header
from ocrexp.data.lmdb_file import is_entry, read_entry
from ocrexp.data.pixels import eight_bits, laid_on_ground, to_bgr8, turned
from ocrexp.data.shards.shard_files import is_member, read_member
from ocrexp.files import kind_of
from ocrexp.quiet import quiet
from ocrexp.types import Image, UnusableSample

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_END_OF_IMAGE = b"\xff\xd9"
# Pillow refuses more, as an attack: a file of 3 MB may ask for gigabytes.
MAX_PIXELS = 178_956_970
_MOST_BYTES = 8  # a pixel in a file that is not compressed: 4 channels of 16 bits
_OTHER_BYTES = 1 << 26  # a file's metadata at most
_HEIC = "HEIC images are not supported; convert them to JPEG or PNG, for example: heif-convert PHOTO.HEIC PHOTO.jpg"
_limit = MAX_PIXELS


def limit_pixels(pixels: int) -> None:
    """Set the most pixels of an image that this process and those that it forks decode."""
    global _limit
    _limit = pixels


def pixel_limit() -> int:
    """The most pixels of an image that this process decodes."""
    return _limit


def read_bytes(path: Path) -> bytes:
    """An image file's bytes; a path may also name an entry of an LMDB folder or an image in a shard. Raises
    UnusableSample with the reason."""
    try:
        data = _read(path)
    except FileNotFoundError:
        data = None
    except OSError as error:
        raise UnusableSample(f"image file cannot be read ({error.strerror})") from None
    if data is None:
        raise UnusableSample("image file is missing")
    if not data:
        raise UnusableSample("image file is empty (0 bytes)")
    return data


def _read(path: Path) -> bytes | None:
    if is_member(path):
        return read_member(path)
    return read_entry(path) if is_entry(path) else _read_file(path)


def _read_file(path: Path) -> bytes:
    check_file(path)
    return path.read_bytes()


def check_file(path: Path, limit: int | None = None) -> None:
    """Raises UnusableSample if its size cannot be that of an image file, OSError if there is no file.

    Opening a named pipe would block forever, and a device may have no end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnusableSample(f"is a {kind_of(status.st_mode)}, not an image file; give a file")
    most = _MOST_BYTES * (limit or _limit) + _OTHER_BYTES
    if status.st_size > most:
        raise UnusableSample(f"file of {status.st_size / 1e9:.1f} GB is too large for an image; raise max_pixels")


def check_header(header: ImageHeader | None, limit: int | None = None) -> None:
    """Raises UnusableSample for an image that is larger than the limit, or of a format that is not read."""
    if header is None:
        return
    if header.kind == "heic":
        raise UnusableSample(_HEIC)
    limit = limit or _limit
    if header.pixels > limit:
        raise UnusableSample(
            f"image of {header.width}×{header.height} has {header.pixels / 1e6:.0f} million pixels, the limit is "
            f"{limit / 1e6:.0f} million; raise max_pixels to {header.pixels} if you trust the file"
        )


class EncodedImage:
    """An image file in memory whose pixels are decoded on demand; `data` is the content if there is no file.

    Raises UnusableSample, with a reason that can be counted, for a file that is missing, empty, truncated or no image,
    and for one of more than `max_pixels` (None: what `limit_pixels` has set).
    """

    def __init__(self, path: Path, data: bytes | None = None, max_pixels: int | None = None) -> None:
        self.path = path
        self._data = read_bytes(path) if data is None else data
        header = read_header(self._data)
        check_header(header, max_pixels)
        if header is not None and header.kind == "png" and not png_chunks_fit(self._data):
            raise UnusableSample("PNG file is truncated")
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
    header = read_header(data)
    if header is None or header.plain or reduction != 1:
        return np.asarray(_pixels(data, _REDUCED[reduction]), np.uint8)
    pixels = _pixels(data, cv2.IMREAD_UNCHANGED)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise UnusableSample("image has pixels that are not finite")
    if header.clear is not None and pixels.ndim == 2:
        pixels = np.dstack(
            [pixels, np.where(pixels == header.clear, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)]
        )
    if header.kind == "avif" and pixels.dtype != np.uint8:  # its 10 and 12 bits: the decoder knows how many
        color = np.asarray(_pixels(data, cv2.IMREAD_COLOR), np.uint8)
        return laid_on_ground(color, eight_bits(pixels[..., 3])) if pixels.shape[-1] == 4 else color
    return turned(to_bgr8(pixels, header.largest), header.orientation)


def _pixels(data: bytes, flags: int) -> npt.NDArray[Any]:
    try:
        with quiet():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in error.err:
            raise UnusableSample(
                "image is too large to decode (OpenCV's limits are 2^30 pixels and 2^20 per side)"
            ) from None
        raise UnusableSample(f"image file cannot be decoded ({' '.join(error.err.split())})") from None
    if pixels is None:
        raise UnusableSample("image file cannot be decoded")
    return np.asarray(pixels)


def _has_all_pixels(data: bytes, header: JpegHeader) -> bool:
    """Whether a JPEG without its end marker has lost nothing else.

    The decoder does not report it (it continues with zeros), but it reads missing bytes from what follows: the pixels
    then depend on that. Of a progressive file later scans may be missing as a whole, so its scans must also contain
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
            if tail[2] & 0x0F == 0:  # the lowest bit that this scan contains
                done.setdefault(component, set()).update(range(tail[0], tail[1] + 1))
    return len(done) == components and all(len(coefficients) == 64 for coefficients in done.values())


def read_image(path: Path) -> Image:
    """Decode an image file to uint8 (height, width, 3) BGR. Raises UnusableSample with the reason."""
    return EncodedImage(path).decode()
