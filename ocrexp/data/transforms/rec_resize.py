"""Resize of a text image to the network's height, by the rules of PaddleOCR's RecResizeImg and its kin.

Images stay uint8: the model normalizes on its device, and zeroes what lies right of `valid_width` afterwards, which is
what PaddleOCR's padding with 0 after normalization is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from ocrexp.nearest import expected_one_of
from ocrexp.types import Image, ImageKind, Sample, UnusableSample

# Shown, and seen by a model that does not mask: the gray that normalizes to about 0.
PADDING = 127
OPENCV = {
    "linear": cv2.INTER_LINEAR,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
# Pillow widens its filters when it shrinks an image, OpenCV does not (but for `area`): the pixels differ.
PILLOW = {"pil_bilinear": "BILINEAR", "pil_bicubic": "BICUBIC", "pil_lanczos": "LANCZOS", "pil_nearest": "NEAREST"}


class RecResize:
    """Resizes `image` (uint8, HWC) to a fixed shape; sets `valid_width` and `valid_ratio`.

    With `padding` the aspect is kept: the width is the height's multiple rounded up, at most the shape's width (longer
    lines are squeezed into it), and the rest at the right is padding. Without, the image is stretched to the whole
    shape (PaddleOCR's SVTRRecResizeImg with `padding: False`, and GrayRecResizeImg).

    While training, `sample["size"]` (height, width), which the multi-scale sampler sets, replaces `image_shape`.

    Args:
        image_shape: height, width.
        padding: keep the aspect; false: stretch.
        interpolation: linear, nearest, cubic, area, lanczos as OpenCV has them; pil_bilinear, pil_bicubic, pil_lanczos,
            pil_nearest as Pillow (PaddleOCR's `resize_type: PIL`).
        gray: make the image gray first; it keeps three channels, all equal, which a model of one channel takes.
        widen: an image longer than the shape widens the result to its own aspect (PaddleOCR's `eval_mode`).
        max_width: bound of a widened result, so that one long line cannot take all memory.
        width_step: a widened width is rounded up to a multiple, so that more images share a batch; 1: PaddleOCR's.
        min_side: an image with a shorter side is unusable: so few pixels hold no text.
        whole_aspect: with padding, the kept aspect is rounded up to a whole number, so the image is 1, 2, 3 … times as
            wide as high (PaddleOCR's SRNRecResizeImg).

    Raises ValueError for values that contradict each other, UnusableSample for an image without pixels or with a side
    below `min_side`.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self,
        image_shape: Sequence[int],
        padding: bool = True,
        interpolation: str = "linear",
        gray: bool = False,
        widen: bool = False,
        max_width: int = 3200,
        width_step: int = 1,
        min_side: int = 4,
        whole_aspect: bool = False,
    ) -> None:
        self.image_shape = _shape(image_shape)
        if interpolation not in OPENCV and interpolation not in PILLOW:
            raise ValueError(f"interpolation: {expected_one_of(interpolation, [*OPENCV, *PILLOW])}")
        if widen and not padding:
            raise ValueError(
                "widen, resize.padding: widen=true keeps the aspect ratio, padding=false does not; change one of them"
            )
        if whole_aspect and (widen or not padding):
            raise ValueError("whole_aspect: needs padding=true and widen=false")
        if widen and max_width < self.image_shape[1]:
            raise ValueError(f"max_width: expected at least image_shape's {self.image_shape[1]}, got {max_width}")
        if width_step < 1 or min_side < 1:
            raise ValueError("width_step, resize.min_side: expected 1 or more")
        self.padding = padding
        self.interpolation = interpolation
        self.gray = gray
        self.widen = widen
        self.max_width = max_width
        self.width_step = width_step
        self.min_side = min_side
        self.whole_aspect = whole_aspect

    def plain(self) -> RecResize:
        """Itself: nothing here is random (debug=overfit keeps it)."""
        return self

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002 (nothing here is random)
        image = sample["image"]
        source_height, source_width = _check(image, self.min_side)
        size = sample.get("size")
        if size is not None:
            height, width = size
        else:
            height, width = self.image_shape
            if self.widen:
                width = self._widened(source_height, source_width)
        valid_width = width
        if self.padding:
            aspect = source_width / source_height
            valid_width = min(math.ceil(height * (math.ceil(aspect) if self.whole_aspect else aspect)), width)
        if self.gray:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        sample["image"] = padded(resized(image, height, valid_width, self.interpolation), width, PADDING)
        sample["valid_width"] = valid_width
        sample["valid_ratio"] = valid_width / width
        return sample

    def _widened(self, source_height: int, source_width: int) -> int:
        height, width = self.image_shape
        wanted = int(height * (source_width / source_height))
        if wanted <= width:
            return width
        return min(-(-wanted // self.width_step) * self.width_step, self.max_width)


class SARResize:
    """Resizes `image` (uint8, HWC) to a fixed height and pads with black (PaddleOCR's SARRecResizeImg).

    The width keeps the aspect, in steps of 1 / `width_downsample_ratio`, between `min_width` and the shape's. The
    padding is part of the image, so `valid_width` is the whole width; SAR's attention masks by `valid_ratio`.

    While training, `sample["size"]` (height, width), which the multi-scale sampler sets, replaces `image_shape`.

    Args:
        image_shape: height, greatest width.
        min_width: narrower images are stretched to it.
        width_downsample_ratio: the network's, of widths.
        min_side: an image with a shorter side is unusable: so few pixels hold no text.

    Raises as RecResize.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self,
        image_shape: Sequence[int],
        min_width: int = 48,
        width_downsample_ratio: float = 0.25,
        min_side: int = 4,
    ) -> None:
        self.image_shape = _shape(image_shape)
        if not 1 <= min_width <= self.image_shape[1]:
            raise ValueError(f"min_width: expected 1 to {self.image_shape[1]}, got {min_width}")
        if not 0 < width_downsample_ratio <= 1:
            raise ValueError(f"width_downsample_ratio: expected above 0 and up to 1, got {width_downsample_ratio}")
        if min_side < 1:
            raise ValueError("min_side: expected 1 or more")
        self.min_width = min_width
        self.width_divisor = int(1 / width_downsample_ratio)
        self.min_side = min_side

    def plain(self) -> SARResize:
        """Itself: nothing here is random (debug=overfit keeps it)."""
        return self

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002 (nothing here is random)
        image = sample["image"]
        source_height, source_width = _check(image, self.min_side)
        height, width = sample.get("size") or self.image_shape
        wanted = math.ceil(height * (source_width / source_height))
        if wanted % self.width_divisor:
            wanted = round(wanted / self.width_divisor) * self.width_divisor
        wanted = min(max(wanted, self.min_width), width)
        sample["image"] = padded(resized(image, height, wanted, "linear"), width, 0)
        sample["valid_width"] = width
        sample["valid_ratio"] = wanted / width
        return sample


def resized(image: Image, height: int, width: int, interpolation: str = "linear") -> Image:
    """The image, of one or three channels, at that size; uint8."""
    if interpolation in OPENCV:
        return np.asarray(cv2.resize(image, (width, height), interpolation=OPENCV[interpolation]), dtype=np.uint8)
    from PIL import Image as Pillow

    resample = getattr(Pillow.Resampling, PILLOW[interpolation])
    return np.asarray(Pillow.fromarray(image).resize((width, height), resample))


def padded(image: Image, width: int, value: int) -> Image:
    """[H, width, 3]: the image at the left, `value` right of it; a gray one is repeated over the channels."""
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    height, own = image.shape[:2]
    if own == width:
        return image
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[:, :own] = image
    canvas[:, own:] = value
    return canvas


def _check(image: Image, min_side: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    if height == 0 or width == 0:
        raise UnusableSample(f"image without pixels ({height}×{width})")
    if min(height, width) < min_side:
        raise UnusableSample(f"an image side below {min_side} pixels (min_side)")
    return height, width


def _shape(image_shape: Sequence[int]) -> tuple[int, int]:
    if len(image_shape) != 2 or min(image_shape) < 1:
        raise ValueError(
            f"image_shape: expected [height,width], both positive, got {list(image_shape)}; set the model's image_shape"
        )
    return int(image_shape[0]), int(image_shape[1])
