"""The usual augmentation of text images in one transform (PaddleOCR's RecAug)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ocrexp.augment.rec.base import ImageOp
from ocrexp.augment.rec.pixels import Blur, Crop, HSVJitter, Jitter, Noise, Reverse
from ocrexp.augment.rec.tia import TIA
from ocrexp.types import ImageKind, Sample


class RecAug:
    """TIA, crop, blur, HSV, jitter, noise, reverse, in this order, each with its own probability.

    The names and defaults of the probabilities are PaddleOCR's. The strengths are those of the single transforms, see
    `ocrexp.augment.rec.tia` and `ocrexp.augment.rec.pixels`, where they can be named one by one too. Images of any
    size; what needs a larger image is skipped.

    Args:
        tia_prob: of distort, stretch and perspective together.
        crop_prob: of rows cut off above or below.
        reverse_prob: of inverted colors.
        noise_prob: of Gaussian noise.
        jitter_prob: of a shift.
        blur_prob: of Gaussian blur.
        hsv_aug_prob: of other colors.
        distort, stretch, perspective, segments: strengths of TIA.
        crop_pixels, crop_share: most rows cut off, and most as a share of the height.
        noise_deviation: range of gray levels.
        jitter_amount: greatest shift, a share of the shorter side.
        blur_sigma: range, in pixels.
        hue, saturation, value: greatest changes.

    Raises ValueError for values out of their range.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self,
        tia_prob: float = 0.4,
        crop_prob: float = 0.4,
        reverse_prob: float = 0.4,
        noise_prob: float = 0.4,
        jitter_prob: float = 0.4,
        blur_prob: float = 0.4,
        hsv_aug_prob: float = 0.4,
        distort: float = 0.333,
        stretch: float = 0.8,
        perspective: float = 0.3,
        segments: Sequence[int] = (3, 6),
        crop_pixels: int = 8,
        crop_share: float = 0.12,
        noise_deviation: Sequence[float] = (1.0, 8.0),
        jitter_amount: float = 0.06,
        blur_sigma: Sequence[float] = (0.4, 1.0),
        hue: float = 0.05,
        saturation: float = 0.4,
        value: float = 0.25,
    ) -> None:
        self.ops: Mapping[str, ImageOp] = {
            "tia": TIA(tia_prob, distort, stretch, perspective, segments),
            "crop": Crop(crop_prob, crop_pixels, crop_share),
            "blur": Blur(blur_prob, blur_sigma),
            "hsv": HSVJitter(hsv_aug_prob, hue, saturation, value),
            "jitter": Jitter(jitter_prob, jitter_amount),
            "noise": Noise(noise_prob, noise_deviation),
            "reverse": Reverse(reverse_prob),
        }
        self._order = tuple(self.ops.values())

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image = sample["image"]
        for op, chance in zip(self._order, rng.random(len(self._order)).tolist(), strict=True):
            if chance < op.p:
                image = op.apply(image, rng)
        sample["image"] = image
        return sample
