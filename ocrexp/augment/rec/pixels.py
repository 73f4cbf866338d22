"""Augmentation of text images that moves no letter against another: crop, blur, colors, shift, noise, inversion.

Three of PaddleOCR's have no visible effect there: its HSV change is a thousandth of the brightness, its jitter moves
images below 100 pixels by nothing, its noise has a deviation of 0.16 gray levels. Here they do what they are named for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.augment.rec.base import ImageOp, as_range, check_share
from ocrexp.types import Image

_BLUR_HEIGHT = 32  # a lower image gets less blur, in proportion
_NOISE_DEVIATION = 32.0  # of the stored noise
_NOISE_LENGTH = 1 << 20


class Crop(ImageOp):
    """Cuts rows off, from the upper or the lower edge.

    Args:
        p: probability.
        pixels: maximum shift.
        share: at most this share of the height; PaddleOCR knows no such bound and cuts 8 of 20 rows.
    """

    def __init__(self, p: float = 0.4, pixels: int = 8, share: float = 0.12) -> None:
        super().__init__(p)
        check_share("share", share, 0.5)
        if pixels < 1:
            raise ValueError(f"pixels: expected 1 or more, got {pixels}; p=0 disables the crop")
        self.pixels = pixels
        self.share = share

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        most = min(self.pixels, int(self.share * image.shape[0]))
        if most < 1:
            return image
        upper, cut = rng.random() < 0.5, int(rng.integers(1, most + 1))
        return image[cut:] if upper else image[:-cut]


class Blur(ImageOp):
    """Gaussian blur of 5×5; `sigma` is in pixels of an image of 32 rows or more, and less below."""

    def __init__(self, p: float = 0.4, sigma: Sequence[float] = (0.4, 1.0)) -> None:
        super().__init__(p)
        self.sigma = as_range("sigma", sigma, 0.01)

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        return blur(image, rng.uniform(*self.sigma) * min(image.shape[0] / _BLUR_HEIGHT, 1))


class HSVJitter(ImageOp):
    """Other colors: hue turned, saturation and brightness (value) multiplied.

    Args:
        p: probability.
        hue: greatest turn either way, as a share of the circle.
        saturation, value: factors are drawn from 1 - this to 1 + this.
    """

    def __init__(self, p: float = 0.4, hue: float = 0.05, saturation: float = 0.4, value: float = 0.25) -> None:
        super().__init__(p)
        check_share("hue", hue, 0.5)
        check_share("saturation", saturation)
        check_share("value", value, 0.9)
        self.hue = hue
        self.saturation = saturation
        self.value = value

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        hue, saturation, value = rng.uniform(-1, 1, 3) * (self.hue, self.saturation, self.value)
        return change_hsv(image, hue, 1 + saturation, 1 + value)


class Jitter(ImageOp):
    """Moves the image by a few pixels in both directions; its edges are repeated where it has left.

    `amount`: greatest move, a share of the shorter side; one pixel at least.
    """

    def __init__(self, p: float = 0.4, amount: float = 0.06) -> None:
        super().__init__(p)
        check_share("amount", amount, 0.2)
        self.amount = amount

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        most = max(int(self.amount * min(height, width)), 1)
        right, down = rng.integers(-most, most + 1, 2).tolist()
        return shift(image, right, down)


class Noise(ImageOp):
    """Gaussian noise; `deviation` is a range of gray levels."""

    def __init__(self, p: float = 0.4, deviation: Sequence[float] = (1.0, 8.0)) -> None:
        super().__init__(p)
        self.deviation = as_range("deviation", deviation, 0)

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        return add_noise(image, rng.uniform(*self.deviation), rng)


class Reverse(ImageOp):
    """Inverts the colors: dark text on light becomes light on dark."""

    def __init__(self, p: float = 0.4) -> None:
        super().__init__(p)

    def apply(self, image: Image, rng: np.random.Generator) -> Image:  # noqa: ARG002 (nothing here is random)
        return np.asarray(cv2.bitwise_not(image), dtype=np.uint8)


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur of 5×5."""
    return np.asarray(cv2.GaussianBlur(image, (5, 5), sigma), dtype=np.uint8)


def change_hsv(image: Image, hue: float, saturation: float, value: float) -> Image:
    """Hue turned by this share of the circle, saturation and value multiplied by theirs."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    levels = np.arange(256)
    table = np.empty((1, 256, 3), np.uint8)
    table[0, :, 0] = (levels + round(hue * 256)) % 256  # wraps, as the circle does
    table[0, :, 1] = np.minimum(levels * saturation, 255)
    table[0, :, 2] = np.minimum(levels * value, 255)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2BGR_FULL), dtype=np.uint8)


def shift(image: Image, right: int, down: int) -> Image:
    """The image moved by whole pixels, fewer than it has; the edges it leaves are repeated."""
    height, width = image.shape[:2]
    right, down = max(min(right, width - 1), 1 - width), max(min(down, height - 1), 1 - height)
    rest = image[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    return np.asarray(
        cv2.copyMakeBorder(rest, max(down, 0), max(-down, 0), max(right, 0), max(-right, 0), cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )


def add_noise(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Gaussian noise of that deviation in gray levels."""
    stored = _noise()
    if image.size > len(stored):
        return np.clip(image + rng.normal(0, deviation, image.shape), 0, 255).round().astype(np.uint8)
    start = int(rng.integers(len(stored) - image.size + 1))
    noise = stored[start : start + image.size].reshape(image.shape)
    scale = deviation / _NOISE_DEVIATION
    return np.asarray(cv2.addWeighted(image, 1, noise, scale, -128 * scale), dtype=np.uint8)


@cache
def _noise() -> npt.NDArray[np.uint8]:
    """Normal numbers around 128. Drawing new ones for every image would take longer than everything else."""
    values = np.random.default_rng(0).normal(128, _NOISE_DEVIATION, _NOISE_LENGTH)
    return np.clip(values.round(), 0, 255).astype(np.uint8)
