"""Fine-tuning of a detector: sides of images from the height of the text in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.adapt.base import Adaptation, Choices, Device
from ocrexp.data.image_size import read_sizes
from ocrexp.types import Record

_MOST_IMAGES = 300
_STRIDE = 32
_SMALL_SHARE = 0.1  # of the regions, the smallest ones: their height decides
_MOST_ENLARGED = 2.0


@dataclass(kw_only=True)
class DetAdaptation(Adaptation):
    """Fits the fine-tuning of a detector to its pages.

    Args:
        text_height: pixels that 9 of 10 regions are high at least; it decides the longer side.
        sides: smallest and largest longer side, pixels.
        crop: side of the training crops on a CPU.
        gpu_crop: side of the training crops on a GPU.

    The other arguments are those of Adaptation.
    """

    lr: float = 2.0e-4
    full_lr_images: int = 100
    text_height: float = 12.0
    sides: Sequence[int] = (640, 1600)
    crop: int = 512
    gpu_crop: int = 640

    task = "det"
    images = "pages"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sides) != 2 or not _STRIDE <= self.sides[0] <= self.sides[1]:
            raise ValueError(f"sides: expected [smallest, largest], {_STRIDE} or more, got {list(self.sides)}")
        if not self.text_height > 0:
            raise ValueError(f"text_height: expected a number above 0, got {self.text_height}")
        for name in ("crop", "gpu_crop"):
            if getattr(self, name) < _STRIDE or getattr(self, name) % _STRIDE:
                raise ValueError(f"{name}: expected a multiple of {_STRIDE}, got {getattr(self, name)}")

    def fit(self, records: Sequence[Record], images: int, device: Device, choices: Choices) -> None:
        """The sides from image headers and labels, then batch and rate."""
        places = np.linspace(0, len(records) - 1, min(len(records), _MOST_IMAGES)).astype(int).tolist()
        chosen = [records[i] for i in dict.fromkeys(places)]
        sizes = read_sizes([record.image_path for record in chosen])
        shares = [
            height / max(size)
            for record, size in zip(chosen, sizes, strict=True)
            if not np.isnan(size).any()
            for height in text_heights(record)
        ]
        self.fit_sides(sizes.max(axis=1), np.array(shares), device, choices)
        self.fit_steps(images, device, choices)

    def fit_sides(
        self,
        longer: npt.NDArray[np.float64],
        shares: npt.NDArray[np.float64],
        device: Device,
        choices: Choices,
    ) -> None:
        """Size of evaluated pages and training crops.

        Args:
            longer: longer sides of images, pixels, NaN where unknown.
            shares: heights of regions as shares of the longer side of their image.
        """
        known = longer[~np.isnan(longer)]
        if not len(known) or not len(shares):
            return
        side = self.side(known, shares)
        small = float(np.quantile(shares, _SMALL_SHARE))
        reason = f"9 of 10 texts are {small * side:.0f} pixels high or more then; pages have {np.median(known):.0f}"
        side = int(choices.choose("preprocess.resize.limit_side_len", side, reason) or side)
        enough = float(np.quantile(known, 0.05)) >= 0.9 * side
        limit = "max" if enough else "resize_long"
        reason = "nearly all pages are as long" if enough else "shorter pages are enlarged to it, as in training"
        choices.choose("preprocess.resize.limit_type", limit, reason)
        choices.choose("augment.warp.reference_side", side, "as in evaluation")
        crop = min(self.gpu_crop if device.gpu else self.crop, side)
        choices.choose("augment.warp.size", [crop, crop], "on a GPU" if device.gpu else "on a CPU")

    def side(self, longer: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> int:
        """The longer side, a multiple of 32, at which 9 of 10 regions are `text_height` pixels high."""
        needed = self.text_height / max(float(np.quantile(shares, _SMALL_SHARE)), 1e-6)
        needed = min(needed, _MOST_ENLARGED * float(np.median(longer)), self.sides[1])
        # Rounding noise must not add a step.
        return max(self.sides[0], math.ceil(round(needed / _STRIDE, 3)) * _STRIDE)


def text_heights(record: Record) -> list[float]:
    """The shorter side of the smallest rectangle around each region that is not ignored, pixels."""
    return [
        float(min(cv2.minAreaRect(np.asarray(polygon, np.float32))[1]))
        for polygon, ignored in zip(record.polygons, record.ignored, strict=True)
        if not ignored
    ]
