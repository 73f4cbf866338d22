"""Files that are replaced whole, so that a viewer never sees half of one."""

from __future__ import annotations

from pathlib import Path

import cv2

from ocrexp.drawing import Picture
from ocrexp.files import write_bytes

JPEG_QUALITY = 88


def write_picture(path: Path, picture: Picture) -> None:
    """Writes an RGB uint8 picture, in the format of the suffix (.png, .jpg). Raises OSError, also if encoding fails."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    encoded, data = cv2.imencode(path.suffix, picture[..., ::-1], options)
    if not encoded:
        raise OSError(f"a picture of {picture.shape[1]}×{picture.shape[0]} pixels cannot be encoded as {path.suffix}")
    write_bytes(path, data.tobytes())
