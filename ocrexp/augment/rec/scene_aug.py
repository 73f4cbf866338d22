"""The augmentation of recognizers for text in scenes: PaddleOCR's SVTRRecAug, ParseQRecAug and ABINetRecAug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ocrexp.augment.photometric import ColorJitter
from ocrexp.augment.rec.base import check_probability
from ocrexp.augment.rec.deterioration import Deterioration
from ocrexp.augment.rec.views import Views
from ocrexp.types import ImageKind, Sample


class SceneAug:
    """Another view, then a deterioration, then other colors, each with its own probability.

    The names and defaults of the probabilities and of `aug_type` are PaddleOCR's. Images of any size.

    Args:
        aug_type: 0: one change of the view; 1: one to three.
        geometry_p: of another view.
        deterioration_p: of a deterioration.
        colorjitter_p: of other colors.
        degrees, scale, shear, distortion: strengths of the view, see `ocrexp.augment.rec.views`.
        noise_variance, motion, pyramid, poisson, blur_sigma: strengths of the deterioration, see
            `ocrexp.augment.rec.deterioration`; 0 disables a change. ParseQRecAug has the last two, SVTRRecAug has not.
        brightness, contrast, saturation: largest changes of the factors.
        hue: largest turn, a share of the circle.

    Raises ValueError for values out of their range.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self,
        aug_type: int = 0,
        geometry_p: float = 0.5,
        deterioration_p: float = 0.25,
        colorjitter_p: float = 0.25,
        degrees: float = 45,
        scale: Sequence[float] = (0.5, 2.0),
        shear: Sequence[float] = (45, 15),
        distortion: float = 0.5,
        noise_variance: float = 20,
        motion: float = 6,
        pyramid: int = 4,
        poisson: float = 0,
        blur_sigma: float = 0,
        brightness: float = 0.5,
        contrast: float = 0.5,
        saturation: float = 0.5,
        hue: float = 0.1,
    ) -> None:
        if aug_type not in (0, 1):
            raise ValueError(f"aug_type: expected 0 or 1, got {aug_type}")
        for name, value in (
            ("geometry_p", geometry_p), ("deterioration_p", deterioration_p), ("colorjitter_p", colorjitter_p),
        ):  # fmt: skip
            check_probability(name, value)
        self.views = Views(geometry_p, aug_type == 1, degrees, scale, shear, distortion)
        self.deterioration = Deterioration(deterioration_p, noise_variance, motion, pyramid, poisson, blur_sigma)
        self.colors = ColorJitter(brightness, contrast, saturation, hue)
        self._color_probability = colorjitter_p

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        sample = self.deterioration(self.views(sample, rng), rng)
        return self.colors(sample, rng) if rng.random() < self._color_probability else sample
