"""Converts 8-bit BGR images to the input of a network: planes of float32."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.deploy.description import Description
from ocrexp.errors import DeployError
from ocrexp.types import Image

Planes = npt.NDArray[np.float32]

_LARGEST_KEPT = 16 << 20  # values of a reused buffer: 64 MB
_GRAY = (0.114, 0.587, 0.299)  # of blue, green and red (ITU-R BT.601), as the models make images gray


class Normalizer:
    """Computes (pixel / 255 - mean) / std of each plane, by a table of 256 values.

    Measured at 1280×736 on one core: 1.4 ms; NumPy's arithmetic by planes 2.3 to 3.0, on the whole image 16,
    cv2.dnn.blobFromImage (which knows one std for all planes) 2.5.

    Args:
        mean: of each plane, in the order of `channels`; one value: images are made gray.
        std: standard deviation, as `mean`.
        channels: order of the planes that the network takes.

    Raises DeployError for lengths that do not fit.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], channels: str = "BGR") -> None:
        if len(mean) != len(std) or len(mean) not in (1, 3) or min(std) <= 0:
            raise DeployError(
                f"mean, std: expected one or three values each, std above 0, got mean={list(mean)}, std={list(std)}"
            )
        if channels not in ("BGR", "RGB"):
            raise DeployError(f"channels: expected BGR or RGB, got {channels}")
        values = np.arange(256, dtype=np.float64) / 255
        if len(mean) == 1:
            # The sum of the three tables is the normalized gray, not rounded to 8 bits in between.
            offsets = np.array([mean[0], 0.0, 0.0])
            tables = [(values * weight - offset) / std[0] for weight, offset in zip(_GRAY, offsets, strict=True)]
        else:
            order = slice(None) if channels == "BGR" else slice(None, None, -1)
            tables = [(values - m) / s for m, s in list(zip(mean, std, strict=True))[order]]
        self._tables = [table.astype(np.float32) for table in tables]  # of blue, green, red
        self._reverse = channels == "RGB"
        self.planes = len(mean)
        self._buffer = threading.local()

    @staticmethod
    def of(description: Description) -> Normalizer:
        """The normalization of an exported model."""
        return Normalizer(description.mean, description.std, description.channels)

    def __call__(self, image: Image, out: Planes) -> None:
        """Write uint8 [H, W, 3] BGR into `out` [planes, H, W']; columns from W on become 0."""
        width = image.shape[1]
        if self.planes == 1:
            total = sum((cv2.LUT(plane, table) for plane, table in self._pairs(image)), np.zeros((), np.float32))
            out[0, :, :width] = total
        else:
            for plane, (values, table) in enumerate(self._pairs(image)):
                place = out[2 - plane if self._reverse else plane]
                if width == place.shape[1]:
                    cv2.LUT(values, table, dst=place)
                else:
                    place[:, :width] = cv2.LUT(values, table)
        if width < out.shape[2]:
            out[:, :, width:] = 0

    def batch(self, count: int, height: int, width: int) -> Planes:
        """An array [count, planes, height, width] to fill; the next call of the same thread may reuse its memory."""
        size = count * self.planes * height * width
        if size > _LARGEST_KEPT:
            return np.empty((count, self.planes, height, width), np.float32)
        kept: Planes | None = getattr(self._buffer, "array", None)
        if kept is None or kept.size < size:
            kept = self._buffer.array = np.empty(size, np.float32)
        return kept[:size].reshape(count, self.planes, height, width)

    def _pairs(self, image: Image) -> list[tuple[npt.NDArray[np.uint8], Planes]]:
        return list(zip(cv2.split(image), self._tables, strict=True))
