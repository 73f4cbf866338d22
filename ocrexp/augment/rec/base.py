"""What the augmentations of text images share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrexp.types import Image, Sample


class ImageOp:
    """Changes the image with probability `p`, and never what stands in it: the text stays."""

    def __init__(self, p: float) -> None:
        check_probability("p", p)
        self.p = p

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() < self.p:
            sample["image"] = self.apply(sample["image"], rng)
        return sample

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        """The changed image, uint8 with three channels; the given one stays as it is."""
        raise NotImplementedError


def check_probability(name: str, value: float) -> None:
    """Raises ValueError for a value that is not a probability."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a probability from 0 to 1, got {value}")


def check_share(name: str, value: float, highest: float = 1.0) -> None:
    """Raises ValueError for a value outside of 0..highest."""
    if not 0 <= value <= highest:
        raise ValueError(f"{name}: expected 0 to {highest:g}, got {value}")


def as_range(name: str, values: Sequence[float], lowest: float) -> tuple[float, float]:
    """The pair as floats. Raises ValueError if it is not a pair, not in ascending order, or begins below `lowest`."""
    if len(values) != 2 or not lowest <= values[0] <= values[1]:
        raise ValueError(f"{name}: expected [low, high], {lowest:g} or more, got {list(values)}")
    return float(values[0]), float(values[1])
