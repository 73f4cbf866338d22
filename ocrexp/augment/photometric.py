"""Color changes of the image; polygons stay."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.types import Image, Sample

# Luma of BGR pixels (ITU-R BT.601).
_LUMA = np.array([0.114, 0.587, 0.299])


class ColorJitter:
    """Random brightness, contrast, saturation and hue, each around the image's own.

    The first three are factors drawn from [1 - value, 1 + value]; they compose into one color matrix, applied in one
    pass. `hue` is drawn from [-value, value], 1 being the whole circle. Gray is weighed as BGR: PaddleOCR weighs these
    BGR pixels as if they were RGB.
    """

    def __init__(self, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0) -> None:
        values = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        for name, value in values.items():
            highest = 0.5 if name == "hue" else 1.0
            if not 0 <= value <= highest:
                raise ValueError(f"{name}: expected 0 to {highest:g}, got {value}")
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        brightness, contrast, saturation = (
            1 + value * rng.uniform(-1, 1) for value in (self.brightness, self.contrast, self.saturation)
        )
        hue = self.hue * rng.uniform(-1, 1)
        image = sample["image"]
        matrix: npt.NDArray[np.float64] = np.zeros((3, 4))
        matrix[:, :3] = saturation * np.eye(3) + (1 - saturation) * _LUMA
        matrix *= brightness
        if contrast != 1:
            mean = brightness * float(_LUMA @ cv2.mean(image)[:3])
            matrix *= contrast
            matrix[:, 3] = (1 - contrast) * mean
        sample["image"] = cv2.transform(image, matrix.astype(np.float32))
        if hue:
            sample["image"] = _turn_hue(sample["image"], hue)
        return sample


def _turn_hue(image: Image, part: float) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    hsv[..., 0] += np.uint8(round(part * 256) % 256)  # wraps, as the circle does
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)
