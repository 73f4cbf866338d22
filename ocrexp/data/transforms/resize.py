"""Resize of an evaluation image to sides that the network takes, by the rules of PaddleOCR's DetResizeForTest.

The network's stride is 32, so sides are rounded to multiples of it and the two ratios differ slightly; `shape`
carries both, and the postprocess leads boxes back through them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.nearest import expected_one_of
from ocrexp.types import ImageKind, Sample, Shrunk, UnusableSample

STRIDE = 32
LONG_STRIDE = 128  # of `resize_long`, which rounds up
SMALLEST_HALF_PERIMETER = 64  # images below it are padded before they are enlarged
LIMIT_TYPES = ("min", "max", "resize_long", "resize_short")
STRONGLY_SHRUNK = 0.5  # of a side; below it small letters are lost
_MOST_ENLARGED = 100_000_000  # pixels of a page that is enlarged without `max_side`


class DetResize:
    """Resizes `image` (uint8 or float HWC) and sets `shape`, float64 (source height, source width, ratio_h, ratio_w).

    Three ways, the first that is given counts:
    - `image_shape` [height, width]: that size; with `keep_ratio` the width follows the image, rounded up to 32.
    - `resize_long`: longest side to this length, both rounded up to multiples of 128.
    - `limit_side_len` with `limit_type`: `min` enlarges until the shorter side has this length, `max` shrinks until
      the longer side has it, `resize_long` and `resize_short` resize the longer or the shorter side to it either way;
      then both are rounded to the nearest multiple of 32 (ties to even).

    `max_side` bounds the longer side of the result of the first and the third way, to bound memory: `min` alone turns
    a strip of 64×1000 into 736×11488. None sets no bound, as PaddleOCR 2.10.

    Images with height + width < 64 are padded to 32×32 before resizing; the ratios are those of the padded image.
    Ground truth polygons stay in source coordinates: an evaluation compares there.

    Raises ValueError for values that contradict each other, UnusableSample for an image without pixels.
    """

    images: ClassVar[ImageKind] = "page"

    def __init__(
        self,
        limit_side_len: int = 736,
        limit_type: str = "min",
        image_shape: Sequence[int] | None = None,
        keep_ratio: bool = False,
        resize_long: int | None = None,
        max_side: int | None = None,
    ) -> None:
        if limit_type not in LIMIT_TYPES:
            raise ValueError(f"limit_type: {expected_one_of(limit_type, LIMIT_TYPES)}")
        if image_shape is not None and resize_long is not None:
            raise ValueError("image_shape, resize_long: exclude each other; set one of them to null")
        if keep_ratio and image_shape is None:
            raise ValueError("keep_ratio: needs image_shape; set image_shape=[height,width] too")
        if image_shape is not None and (len(image_shape) != 2 or min(image_shape) < 1):
            raise ValueError(f"image_shape: expected [height,width], both positive, got {list(image_shape)}")
        if limit_side_len < 1 or (resize_long is not None and resize_long < 1):
            raise ValueError("limit_side_len, resize_long: expected positive numbers")
        if max_side is not None and max_side < STRIDE:
            raise ValueError(f"max_side: expected at least {STRIDE}, the network's stride, got {max_side}")
        self.limit_side_len = limit_side_len
        self.limit_type = limit_type
        self.image_shape = (int(image_shape[0]), int(image_shape[1])) if image_shape is not None else None
        self.keep_ratio = keep_ratio
        self.resize_long = resize_long
        self.max_side = max_side

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002 (nothing here is random)
        image = sample["image"]
        source_height, source_width = image.shape[:2]
        if source_height == 0 or source_width == 0:
            raise UnusableSample(f"image without pixels ({source_height}×{source_width})")
        if source_height + source_width < SMALLEST_HALF_PERIMETER:
            image = _pad(image)
        height, width = image.shape[:2]
        new_height, new_width = self.size(height, width)
        sample["image"] = cv2.resize(image, (new_width, new_height))
        ratios = (new_height / height, new_width / width)
        sample["shape"] = np.array([source_height, source_width, *ratios], dtype=np.float64)
        if min(ratios) < STRONGLY_SHRUNK and (shrunk := self.shrunk(height, width)) is not None:
            sample["shrunk"] = shrunk
        return sample

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that an image of this size (after padding) is brought to."""
        if self.image_shape is not None:
            return self._fixed_size(height, width)
        if self.resize_long is not None:
            ratio = self.resize_long / max(height, width)
            return _up(int(height * ratio), LONG_STRIDE), _up(int(width * ratio), LONG_STRIDE)
        ratio = self._limit_ratio(height, width)
        new_height, new_width = _nearest(int(height * ratio)), _nearest(int(width * ratio))
        if self.max_side is not None and max(new_height, new_width) > self.max_side:
            ratio = self.max_side / max(height, width)
            bound = self.max_side // STRIDE * STRIDE
            new_height = min(_nearest(int(height * ratio)), bound)
            new_width = min(_nearest(int(width * ratio)), bound)
        return new_height, new_width

    def shrunk(self, height: int, width: int) -> Shrunk | None:
        """How far a page of this size is shrunk, if a side loses more than half of its pixels."""
        new_height, new_width = self.size(height, width)
        share = new_height / height if height >= width else new_width / width  # of the other one, rounding changes more
        if self.image_shape is not None:
            share = min(new_height / height, new_width / width)
        if share >= STRONGLY_SHRUNK:
            return None
        return Shrunk(height, width, share, self._bound(height, width))

    def _bound(self, height: int, width: int) -> str:
        if self.image_shape is not None:
            return "image_shape"
        if self.resize_long is not None:
            return "resize_long"
        wanted = self._limit_ratio(height, width) * max(height, width)
        return "max_side" if self.max_side is not None and wanted > self.max_side else "limit_side_len"

    def unshrunk_size(self, height: int, width: int) -> tuple[int, int]:
        """As `size`, without the bounds: a page that would be shrunk keeps its pixels (multiples of 32), and
        `max_side` does not count. A page is enlarged to at most 100 million pixels."""
        if self.image_shape is None and self.resize_long is None:
            most = math.sqrt(_MOST_ENLARGED / (height * width))
            ratio = max(1.0, min(self._limit_ratio(height, width), most))
            return _nearest(int(height * ratio)), _nearest(int(width * ratio))
        new_height, new_width = self.size(height, width)
        if new_height < height or new_width < width:
            return _nearest(height), _nearest(width)
        return new_height, new_width

    def _fixed_size(self, height: int, width: int) -> tuple[int, int]:
        assert self.image_shape is not None
        new_height, new_width = self.image_shape
        if self.keep_ratio:
            new_width = math.ceil(width * new_height / height / STRIDE) * STRIDE
            if self.max_side is not None:
                new_width = min(new_width, self.max_side // STRIDE * STRIDE)
        return new_height, new_width

    def _limit_ratio(self, height: int, width: int) -> float:
        shorter, longer = min(height, width), max(height, width)
        if self.limit_type == "resize_long":
            return self.limit_side_len / longer
        if self.limit_type == "resize_short":
            return self.limit_side_len / shorter
        if self.limit_type == "max":
            return min(1.0, self.limit_side_len / longer)
        return max(1.0, self.limit_side_len / shorter)


def _nearest(side: int) -> int:
    return max(round(side / STRIDE) * STRIDE, STRIDE)


def _up(side: int, stride: int) -> int:
    return (side + stride - 1) // stride * stride


def _pad(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    height, width = image.shape[:2]
    padded = np.zeros((max(STRIDE, height), max(STRIDE, width), *image.shape[2:]), dtype=image.dtype)
    padded[:height, :width] = image
    return padded
