"""What cameras, scanners and storage do to a drawn image."""

from __future__ import annotations

import cv2
import numpy as np

from ocrexp.data.synth import backgrounds
from ocrexp.types import Image


def degrade(image: Image, strength: float, rng: np.random.Generator, varied: bool = False) -> tuple[Image, int]:
    """What cameras, scanners and storage do: uneven light, blur, grain, gray, loss of contrast, JPEG artifacts.

    Args:
        image: (height, width, 3) uint8; not changed.
        strength: 0..1, scales how often each of them happens; 0 leaves the image as it is.
        rng: random numbers.
        varied: images of many sizes follow, see `backgrounds.add_grain`.

    Returns the image and the JPEG quality to store it with.
    """
    if strength <= 0:
        return image, 95
    height, width = image.shape[:2]
    if rng.random() < 0.3 * strength:
        light = backgrounds.clouds(height, width, int(rng.integers(2, 4)), rng)
        depth = float(rng.uniform(0.1, 0.4))
        light = cv2.convertScaleAbs(light, alpha=depth, beta=255 * (1 - depth))
        image = cv2.multiply(image, cv2.merge([light, light, light]), scale=1 / 255)
    if rng.random() < 0.4 * strength:
        sigma = float(rng.uniform(0.4, 1.1))
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    elif rng.random() < 0.1 * strength:
        kernel = np.full((1, 3), 1 / 3, np.float32)
        image = cv2.filter2D(image, -1, kernel if rng.random() < 0.5 else kernel.T)
    if rng.random() < 0.15 * strength:
        gain = float(rng.uniform(0.6, 0.9))
        image = cv2.convertScaleAbs(image, alpha=gain, beta=float(rng.uniform(0, 255 * (1 - gain))))
    if rng.random() < 0.1 * strength:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.6 * strength:
        image = backgrounds.add_grain(image, int(rng.choice(4, p=(0.4, 0.35, 0.17, 0.08))), rng, varied)
    strong = rng.random() < 0.25 * strength
    return image, int(rng.integers(35, 65) if strong else rng.integers(80, 96))
