"""Converts images of all kinds (arrays, paths, bytes, PIL) to 8-bit BGR pixels."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.image_header import ImageHeader
from ocrexp.data.images import MAX_PIXELS, EncodedImage, check_header
from ocrexp.data.pixels import to_bgr8
from ocrexp.errors import DeployError
from ocrexp.types import Image, UnusableSample

__all__ = ["MAX_PIXELS", "to_bgr"]

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

    AnyImage = npt.NDArray[Any] | str | PathLike[str] | bytes | bytearray | memoryview | Pillow


def to_bgr(image: AnyImage, name: str = "the image", max_pixels: int = MAX_PIXELS) -> Image:
    """uint8 [H, W, 3], BGR.

    Args:
        image: an array [H, W], [H, W, 1 (gray), 2 (gray, alpha), 3 (BGR) or 4 (BGR, alpha)]; a file's path; a file's
            bytes; a PIL image. EXIF orientation is applied. Transparent pixels become white (black if the letters are
            light). Floats up to 1 are shares of white, larger ones 0 … 255. Of 16 bits, the upper 8 are kept if all 16
            are used; otherwise values are stretched (12 bits of a scan).
        name: its name in messages if it has no path.
        max_pixels: larger files and PIL images are refused before they are decoded.

    Raises DeployError, in one line, if `image` is not an image.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image, name)
    if isinstance(image, (str, PathLike)):
        return _decoded(Path(image), None, str(image), max_pixels)
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
        if not data:
            raise DeployError(f"{name}: empty (0 bytes)")
        return _decoded(Path(name), data, name, max_pixels)
    if hasattr(image, "getexif") and hasattr(image, "convert"):
        return _from_pillow(image, name, max_pixels)
    raise DeployError(f"{name}: expected an array (BGR), a path, bytes or a PIL image, got {type(image).__name__}")


def _decoded(path: Path, data: bytes | None, name: str, max_pixels: int) -> Image:
    try:
        return EncodedImage(path, data, max_pixels).decode()
    except UnusableSample as reason:
        raise DeployError(f"{name}: {reason}") from None


def _from_array(array: npt.NDArray[Any], name: str, largest: int | None = None) -> Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise DeployError(
            f"{name}: expected an array [height, width] or [height, width, channels], got {list(array.shape)}"
        )
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise DeployError(f"{name}: has no pixels ({array.shape[0]}×{array.shape[1]})")
    kind = array.dtype
    if kind.kind == "f" and not np.isfinite(array).all():
        raise DeployError(f"{name}: contains values that are not finite")
    if kind.kind in "iu" and kind not in (np.uint8, np.uint16):
        if array.min() < 0 or array.max() > 255:
            raise DeployError(
                f"{name}: expected values from 0 to 255, got {kind} values outside; convert it to uint8 or uint16"
            )
        array = array.astype(np.uint8)
    if array.dtype.kind not in "fiub":
        raise DeployError(f"{name}: expected an array of uint8, uint16 or floats, got {kind}")
    return to_bgr8(array, largest)


def _from_pillow(image: Any, name: str, max_pixels: int) -> Image:
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        check_header(ImageHeader("Pillow", image.height, image.width), max_pixels)
        tags = getattr(image, "tag_v2", {})
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):  # 16 and 32 bits, which Pillow's own conversion would clip at 255
            # A TIFF states the value of white by its MaxSampleValue or its number of bits.
            largest = _first(tags.get(281)) or (1 << (_first(tags.get(258)) or 16)) - 1
            array = np.asarray(image)
            if image.mode == "I" and array.size and array.min() >= 0 and array.max() <= 0xFFFF:
                array = array.astype(np.uint16)  # a 16-bit PNG may come as 32 bits
            return _from_array(array, name, largest if 0 < largest < 0xFFFF else None)
        clear_palette = image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A")
        if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info or clear_palette:
            array = np.asarray((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
            return _from_array(array[..., [2, 1, 0, 3]], name)
        if image.mode != "RGB":
            image = image.convert("RGB")
    except UnusableSample as reason:
        raise DeployError(f"{name}: {reason}") from None
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise DeployError(f"{name}: Pillow cannot decode it ({error})") from None
    return _from_array(np.asarray(image)[..., ::-1], name)


def _first(value: Any) -> int | None:
    """The value of a tag, or the first of several (one per channel)."""
    return int(value[0]) if isinstance(value, tuple) and value else value
