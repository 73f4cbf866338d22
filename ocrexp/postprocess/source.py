"""From the resized image back to the source image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ocrexp.types import Polygon


def to_source(outlines: Sequence[npt.NDArray[np.float64]], shape: npt.NDArray[np.float64]) -> list[Polygon]:
    """Outlines (n, 2) in pixels of the resized image as polygons in pixels of the source image, clipped to it.

    `shape` is (source height, source width, ratio_h, ratio_w). Points are divided by the ratios; the two sizes
    alone do not give them, because small images are padded before they are resized.
    """
    ratios, size = shape[:1:-1], shape[1::-1]
    return [np.clip(outline / ratios, 0, size).astype(np.float32) for outline in outlines]
