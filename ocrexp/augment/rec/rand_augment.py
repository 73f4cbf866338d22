"""A few random changes of one strength (RandAugment) that a text survives.

Cubuk et al.: RandAugment: Practical automated data augmentation with a reduced search space (2020). Mirroring, cutting
out and large rotations, which change what is written or take it away, are not among the changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import cv2
import numpy as np

from ocrexp.augment.rec import pixels, tia
from ocrexp.augment.rec.base import check_probability
from ocrexp.nearest import did_you_mean
from ocrexp.types import Image, ImageKind, Sample

# image, level in 0..1, random numbers -> image
Change = Callable[[Image, float, np.random.Generator], Image]
_SMALLEST_SIDE = 8  # for changes of geometry, as for TIA
_HIGHEST = 10.0


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _affine(image: Image, matrix: list[list[float]]) -> Image:
    """By a matrix around the image's center."""
    height, width = image.shape[:2]
    (a, b), (c, d) = matrix
    x, y = (width - 1) / 2, (height - 1) / 2
    whole = np.array([[a, b, x - a * x - b * y], [c, d, y - c * x - d * y]])
    return np.asarray(cv2.warpAffine(image, whole, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _rotate(image: Image, level: float, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    # The line's ends move by a sixth of its height at most, ten degrees at most.
    angle = _sign(rng) * level * min(math.atan(height / width / 3), math.radians(10))
    return _affine(image, [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _shear(image: Image, level: float, rng: np.random.Generator) -> Image:
    return _affine(image, [[1, _sign(rng) * level * 0.4], [0, 1]])


def _distort(image: Image, level: float, rng: np.random.Generator) -> Image:
    return tia.Distort(1, amount=0.4 * level).apply(image, rng)


def _stretch(image: Image, level: float, rng: np.random.Generator) -> Image:
    return tia.Stretch(1, amount=0.8 * level).apply(image, rng)


def _perspective(image: Image, level: float, rng: np.random.Generator) -> Image:
    return tia.Perspective(1, amount=0.4 * level).apply(image, rng)


def _brightness(image: Image, level: float, rng: np.random.Generator) -> Image:
    # Thin strokes on white paper vanish when they are made much brighter.
    return cv2.convertScaleAbs(image, alpha=1 + (0.25 if rng.random() < 0.5 else -0.5) * level)


def _contrast(image: Image, level: float, rng: np.random.Generator) -> Image:
    factor = 1 + _sign(rng) * 0.6 * level
    mean = sum(cv2.mean(image)[:3]) / 3
    levels = np.arange(256)
    return cv2.LUT(image, np.clip(mean + factor * (levels - mean), 0, 255).astype(np.uint8))


def _color(image: Image, level: float, rng: np.random.Generator) -> Image:
    hue, saturation = _sign(rng) * 0.1 * level, 1 + _sign(rng) * 0.7 * level
    return pixels.change_hsv(image, hue, saturation, 1.0)


def _sharpness(image: Image, level: float, rng: np.random.Generator) -> Image:
    amount = _sign(rng) * 0.9 * level
    return cv2.addWeighted(image, 1 + amount, cv2.blur(image, (3, 3)), -amount, 0)


def _blur(image: Image, level: float, rng: np.random.Generator) -> Image:
    del rng
    return pixels.blur(image, max(1.2 * level * min(image.shape[0] / 32, 1), 0.05))


def _noise(image: Image, level: float, rng: np.random.Generator) -> Image:
    return pixels.add_noise(image, 15 * level, rng)


def _posterize(image: Image, level: float, rng: np.random.Generator) -> Image:
    del rng
    return cv2.bitwise_and(image, np.full_like(image, 0xFF << round(5 * level) & 0xFF))


def _autocontrast(image: Image, level: float, rng: np.random.Generator) -> Image:
    del rng
    spread = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    return cv2.addWeighted(image, 1 - level, spread, level, 0)


def _invert(image: Image, level: float, rng: np.random.Generator) -> Image:
    del level, rng
    return cv2.bitwise_not(image)


_GEOMETRY: dict[str, Change] = {
    "rotate": _rotate,
    "shear": _shear,
    "distort": _distort,
    "stretch": _stretch,
    "perspective": _perspective,
}
CHANGES: dict[str, Change] = {
    **_GEOMETRY,
    "brightness": _brightness,
    "contrast": _contrast,
    "color": _color,
    "sharpness": _sharpness,
    "blur": _blur,
    "noise": _noise,
    "posterize": _posterize,
    "autocontrast": _autocontrast,
    "invert": _invert,
}


class RecRandAugment:
    """Applies `num_ops` different changes, drawn for each image, at one strength.

    Args:
        prob: probability that a sample gets any.
        num_ops: changes an image gets.
        magnitude: strength of all of them, 0..10.
        ops: names to draw from; null: all of `CHANGES`. Those of geometry leave images alone with a side below 8
            pixels.

    Raises ValueError for unknown names and values out of their range.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self, prob: float = 0.5, num_ops: int = 2, magnitude: float = 5, ops: Sequence[str] | None = None
    ) -> None:
        check_probability("prob", prob)
        self.ops = tuple(CHANGES) if ops is None else tuple(ops)
        for name in self.ops:
            if name not in CHANGES:
                near = did_you_mean(str(name), CHANGES)
                raise ValueError(f"ops: expected names of {', '.join(CHANGES)}, got {name!r}{near}")
        if not 1 <= num_ops <= len(self.ops):
            raise ValueError(f"num_ops: expected 1 to {len(self.ops)}, got {num_ops}")
        if not 0 <= magnitude <= _HIGHEST:
            raise ValueError(f"magnitude: expected 0 to {_HIGHEST:g}, got {magnitude}")
        self.prob = prob
        self.num_ops = num_ops
        self.level = magnitude / _HIGHEST

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.prob:
            return sample
        image = sample["image"]
        for index in rng.permutation(len(self.ops))[: self.num_ops].tolist():
            name = self.ops[index]
            if name not in _GEOMETRY or min(image.shape[:2]) >= _SMALLEST_SIDE:
                image = np.asarray(CHANGES[name](image, self.level, rng), dtype=np.uint8)
        sample["image"] = image
        return sample
