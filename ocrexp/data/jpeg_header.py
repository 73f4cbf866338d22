"""Reads the markers in front of a JPEG's pixels, and the orientation that EXIF states in any format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Order = Literal["little", "big"]

# Start-of-frame markers; C4, C8 and CC share their range but mean other things.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers in front of a JPEG's pixels state; height and width are as stored, before any EXIF turn."""

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
            orientation = exif_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return None


def exif_orientation(tiff: bytes) -> int:
    """The orientation entry (1..8) of the first image directory; 1 if there is none."""
    order: Order = "little" if tiff[:2] == b"II" else "big"  # OpenCV, which turns the pixels, takes all else for "MM"
    if int.from_bytes(tiff[2:4], order) != 42:
        return 1
    start = int.from_bytes(tiff[4:8], order)
    for at in range(start + 2, start + 2 + 12 * min(int.from_bytes(tiff[start : start + 2], order), 1000), 12):
        if at + 12 <= len(tiff) and int.from_bytes(tiff[at : at + 2], order) == 0x0112:
            value = int.from_bytes(tiff[at + 8 : at + 10], order)  # whatever type and count it states, as OpenCV
            return value if 1 <= value <= 8 else 1
    return 1
