"""Whatever holds an image, as 8-bit BGR pixels."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.images import EncodedImage
from ocrexp.errors import DeployError
from ocrexp.types import Image, UnusableSample

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

    AnyImage = npt.NDArray[Any] | str | PathLike[str] | bytes | bytearray | memoryview | Pillow


def to_bgr(image: AnyImage, name: str = "the image") -> Image:
    """uint8 [H, W, 3], BGR.

    Args:
        image: an array [H, W], [H, W, 1 (grey), 2 (grey, alpha), 3 (BGR) or 4 (BGR, alpha)]; a file's path; a file's
            bytes; a PIL image. As cv2.imread does: the upright image where EXIF turns it, alpha dropped, the upper 8
            of 16 bits. Of floats, values up to 1 are shares of white, larger ones 0 … 255.
        name: what messages call it, where it has no path.

    Raises DeployError in one line for anything that holds no pixels.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image, name)
    if isinstance(image, (str, PathLike)):
        return _decoded(Path(image), None, str(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
        if not data:
            raise DeployError(f"{name}: empty (0 bytes)")
        return _decoded(Path(name), data, name)
    if hasattr(image, "getexif") and hasattr(image, "convert"):
        return _from_pillow(image, name)
    raise DeployError(f"{name} is a {type(image).__name__}: give an array (BGR), a path, bytes or a PIL image")


def _decoded(path: Path, data: bytes | None, name: str) -> Image:
    try:
        return EncodedImage(path, data).decode()
    except UnusableSample as reason:
        raise DeployError(f"{name}: {reason}") from None


def _from_array(array: npt.NDArray[Any], name: str) -> Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise DeployError(
            f"{name} is an array of {list(array.shape)}: give [height, width] or [height, width, channels]"
        )
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise DeployError(f"{name} has no pixels ({array.shape[0]}×{array.shape[1]})")
    pixels = _eight_bits(array, name)
    if pixels.ndim == 3 and pixels.shape[2] <= 2:
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        return cast(Image, cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2BGR))
    return np.ascontiguousarray(pixels[..., :3])


def _eight_bits(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    kind = array.dtype
    if kind == np.uint8:
        return array
    if kind == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if kind == np.uint16:
        return (array >> 8).astype(np.uint8)
    if kind.kind == "f":
        if not np.isfinite(array).all():
            raise DeployError(f"{name} holds values that are not finite")
        scale = 255.0 if array.max() <= 1.0 else 1.0
        return np.clip(np.rint(array * scale), 0, 255).astype(np.uint8)
    if kind.kind in "iu":
        if array.min() < 0 or array.max() > 255:
            raise DeployError(f"{name} is {kind} with values outside 0 … 255: give uint8 or uint16")
        return array.astype(np.uint8)
    raise DeployError(f"{name} is an array of {kind}: give uint8, uint16 or floats")


def _from_pillow(image: Any, name: str) -> Image:
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):  # 16 and 32 bits, which Pillow's own conversion would cut off at 255
            array = np.asarray(image)
            # A 16-bit PNG may come as 32 bits.
            return _from_array(array.astype(np.uint16) if image.mode == "I" else array, name)
        if image.mode != "RGB":
            image = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise DeployError(f"{name}: Pillow cannot decode it ({error})") from None
    return _from_array(np.asarray(image)[..., ::-1], name)
