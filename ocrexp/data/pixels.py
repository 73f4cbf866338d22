"""Decoded pixels of any depth and number of channels as 8-bit BGR: the one place for transparency and deep images."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.types import Image

Gray = npt.NDArray[np.uint8]

_LIGHT = 160  # of 255: letters whose ink is at least this are not seen on white
_LIGHT_SHARE = 0.98  # of the ink, for letters to count as light
_MOST_COVERED = 0.6  # of the image by letters; what covers more is paper


def to_bgr8(pixels: npt.NDArray[Any], largest: int | None = None) -> Image:
    """uint8 [H, W, 3] BGR of [H, W] or [H, W, 1 (gray), 2 (gray, alpha), 3 (BGR) or 4 (BGR, alpha)].

    Transparency is laid on white, and on black where the letters are light. `largest` is the value of white, see
    `eight_bits`.
    """
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = eight_bits(pixels[..., -1])
        color = _colored(eight_bits(pixels[..., :-1], largest))
        return laid_on_ground(color, alpha)
    return _colored(eight_bits(pixels, largest))


def eight_bits(pixels: npt.NDArray[Any], largest: int | None = None) -> npt.NDArray[np.uint8]:
    """Any finite, not negative numbers as 0 … 255.

    16-bit values that use all bits are cut to their upper 8, as OpenCV does. Others (12 bits in 16, 4 in 8) are
    stretched, so that `largest`, or the largest value that occurs, is white. Of floats, values up to 1 are shares of
    white, and those up to 255 stay.
    """
    if pixels.dtype == np.uint8:
        if largest is None or not 0 < largest < 255:
            return cast(Gray, pixels)
        return _stretched(pixels, largest)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    top = float(pixels.max()) if pixels.size else 0.0
    if pixels.dtype.kind == "f":
        scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255.0 / top
        return np.clip(np.rint(pixels * scale), 0, 255).astype(np.uint8)
    if largest is None and pixels.dtype == np.uint16 and top >= 1 << 15:
        return (pixels >> 8).astype(np.uint8)
    return _stretched(pixels, max(top, 1.0) if largest is None else float(largest))


def _stretched(pixels: npt.NDArray[Any], top: float) -> npt.NDArray[np.uint8]:
    return cast(Gray, cv2.convertScaleAbs(np.clip(pixels, 0, top).astype(np.float32), alpha=255.0 / top))


def _colored(pixels: npt.NDArray[np.uint8]) -> Image:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        return cast(Image, cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2BGR))
    return np.ascontiguousarray(pixels)


def laid_on_ground(color: Image, alpha: Gray) -> Image:
    """The color [H, W, 3] where alpha [H, W] covers it, white elsewhere; black where the letters are light.

    An alpha channel of zeros alone is one that its writer did not fill: the color is taken as it is.
    """
    if not alpha.any() or alpha.min() == 255:
        return np.ascontiguousarray(color)
    ground = 0 if _is_light_lettering(color, alpha) else 255
    cover = alpha[..., None].astype(np.uint16)
    return ((color * cover + (255 - cover) * np.uint16(ground) + np.uint16(127)) // np.uint16(255)).astype(np.uint8)


def _is_light_lettering(color: Image, alpha: Gray) -> bool:
    ink = float(alpha.sum(dtype=np.int64))
    if ink > _MOST_COVERED * 255 * alpha.size:
        return False
    light = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_BGR2GRAY) >= _LIGHT
    return float(alpha[light].sum(dtype=np.int64)) >= _LIGHT_SHARE * ink


def turned(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """The upright image of one that is stored with an EXIF orientation of 1 … 8."""
    if orientation >= 5:  # stored by columns
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def is_blank(image: Image) -> bool:
    """Whether an image [H, W, 3] is all but black or all but white: nothing can be read in it."""
    low, high = int(image.min()), int(image.max())
    return high < 24 or low > 231
