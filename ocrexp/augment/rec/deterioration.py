"""What cameras and scanners do to a text image: noise, blur by motion and by focus, few pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.augment.rec.base import ImageOp
from ocrexp.augment.rec.pixels import add_noise
from ocrexp.augment.rec.views import any_interpolation, one_sided
from ocrexp.types import Image

_PYRAMID = (512, 128)  # width, height of its first level
_LOWEST_SIGMA = 0.05  # below it a Gaussian blur changes nothing
_STORED = 1 << 20  # random bytes

Change = Callable[[Image, np.random.Generator], Image]


class Deterioration(ImageOp):
    """All of the changes whose strength is above 0, in any order; strengths are drawn for each image.

    Args:
        p: probability.
        noise_variance: largest variance of Gaussian noise, in squared gray levels.
        motion: longest path of a motion blur, in pixels, in any direction.
        pyramid: largest number of times that the image, made 512 × 128 first, is halved before it gets its size back.
        poisson: largest mean of Poisson noise, in gray levels, by which the image becomes brighter.
        blur_sigma: largest deviation of a Gaussian blur, in pixels.

    Raises ValueError for negative strengths.
    """

    def __init__(
        self,
        p: float = 0.25,
        noise_variance: float = 20,
        motion: float = 6,
        pyramid: int = 4,
        poisson: float = 0,
        blur_sigma: float = 0,
    ) -> None:
        super().__init__(p)
        strengths: dict[str, tuple[float, Change]] = {
            "noise_variance": (noise_variance, self._noise),
            "motion": (motion, self._motion),
            "poisson": (poisson, self._poisson),
            "blur_sigma": (blur_sigma, self._blur),
            "pyramid": (pyramid, self._pyramid),
        }
        for name, (strength, _) in strengths.items():
            if strength < 0:
                raise ValueError(f"{name}: expected 0 or more, got {strength}")
        if pyramid > 6:
            raise ValueError(f"pyramid: expected 0 to 6, got {pyramid}")
        self.noise_variance = noise_variance
        self.motion = motion
        self.pyramid = pyramid
        self.poisson = poisson
        self.blur_sigma = blur_sigma
        self._changes = [change for strength, change in strengths.values() if strength]

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        for index in rng.permutation(len(self._changes)).tolist():
            image = self._changes[index](image, rng)
        return image

    def _noise(self, image: Image, rng: np.random.Generator) -> Image:
        return add_noise(image, one_sided(self.noise_variance, rng) ** 0.5, rng)

    def _motion(self, image: Image, rng: np.random.Generator) -> Image:
        length = max(int(one_sided(self.motion, rng)), 1)
        if length == 1:
            return image
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1
        turn = cv2.getRotationMatrix2D((length // 2, length // 2), rng.uniform(-90, 90), 1)
        kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)))
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)

    def _poisson(self, image: Image, rng: np.random.Generator) -> Image:
        mean = max(int(one_sided(self.poisson, rng)), 1)
        stored = _stored_bytes()
        if image.size > len(stored):
            noise = rng.poisson(mean, image.shape).astype(np.uint8)
        else:
            start = int(rng.integers(len(stored) - image.size + 1))
            noise = np.asarray(cv2.LUT(stored[start : start + image.size].reshape(image.shape), _quantiles(mean)))
        return np.asarray(cv2.add(image, noise), dtype=np.uint8)

    def _blur(self, image: Image, rng: np.random.Generator) -> Image:
        sigma = max(one_sided(self.blur_sigma, rng), _LOWEST_SIGMA)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)

    def _pyramid(self, image: Image, rng: np.random.Generator) -> Image:
        levels = round(rng.uniform(0, self.pyramid))
        if levels == 0:
            return image
        small = cv2.resize(image, _PYRAMID, interpolation=any_interpolation(rng))
        for _ in range(levels):
            small = cv2.pyrDown(small)
        height, width = image.shape[:2]
        return np.asarray(cv2.resize(small, (width, height), interpolation=any_interpolation(rng)), dtype=np.uint8)


@cache
def _stored_bytes() -> npt.NDArray[np.uint8]:
    """Random bytes. Drawing Poisson numbers for every pixel would take longer than everything else."""
    return np.random.default_rng(0).integers(0, 256, _STORED, dtype=np.uint8)


@cache
def _quantiles(mean: int) -> npt.NDArray[np.uint8]:
    """The Poisson number for each of 256 equally likely parts of its distribution."""
    counts = np.arange(1, 256)
    shares = np.exp(-mean) * np.cumprod(np.concatenate([[1.0], mean / counts]))
    parts = (np.arange(256) + 0.5) / 256
    return np.searchsorted(np.cumsum(shares), parts).clip(0, 255).astype(np.uint8)
