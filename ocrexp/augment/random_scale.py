"""Random change of an image's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from ocrexp.augment.geometry import as_polygon
from ocrexp.types import ImageKind, Sample


class RandomScale:
    """Resizes image and polygons by a factor drawn uniformly from `scale`, with probability `p`.

    For lists of single steps; `det_fast` scales inside its one warp. A crop that is resized to a fixed frame afterwards
    undoes the size and keeps the loss of detail, see `RandomWarpCrop`.
    """

    images: ClassVar[ImageKind] = "page"

    def __init__(self, scale: Sequence[float] = (0.5, 3.0), p: float = 1.0) -> None:
        if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale: expected [low, high], above 0, got {list(scale)}")
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        self.scale = (float(scale[0]), float(scale[1]))
        self.p = p

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        factor = rng.uniform(*self.scale)
        height, width = sample["image"].shape[:2]
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        sample["image"] = cv2.resize(sample["image"], size, interpolation=cv2.INTER_LINEAR)
        ratio = np.array([size[0] / width, size[1] / height])
        sample["polygons"] = [as_polygon(polygon * ratio) for polygon in sample["polygons"]]
        return sample
