"""The target maps of DB: shrink map, threshold map and their masks.

"Real-time Scene Text Detection with Differentiable Binarization" (Liao et al., AAAI 2020), drawn pixel for pixel as
PaddleOCR's MakeBorderMap followed by MakeShrinkMap does, except where those are at fault:
a point given twice leaves no hole in the threshold map, a polygon beyond the canvas draws nothing, an image without any
region is a good sample, and a shrink ratio that changes with the epoch does change.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ocrexp.data.regions import LEGIBLE
from ocrexp.data.targets.maps import area_and_perimeter, draw_threshold, shrink_polygon, why_lost
from ocrexp.types import Sample


class LinearShrinkRatio:
    """Shrink ratio that goes from `start` at epoch 0 to `end` at `total_epochs` (PP-OCRv4's dynamic shrink ratio:
    0.4 to 0.6).
    """

    def __init__(self, start: float = 0.4, end: float = 0.6, total_epochs: int = 500) -> None:
        if not (0 < start < 1 and 0 < end < 1):
            raise ValueError(f"shrink_ratio: expected start and end between 0 and 1, got {start} and {end}")
        if not isinstance(total_epochs, int) or total_epochs < 1:
            raise ValueError(
                f"shrink_ratio.total_epochs: expected a number, got {total_epochs}; set it, or the run's max_epochs"
            )
        self.start = start
        self.end = end
        self.total_epochs = total_epochs

    def __call__(self, epoch: float) -> float:
        """The ratio in the given epoch (0-based); it stays at `end` after the last one."""
        part = min(max(epoch / self.total_epochs, 0.0), 1.0)
        # Rounded, so that 0.4 to 0.6 gives 0.52 and not 0.5199999999999999: the tries go by multiples of the ratio.
        return round(self.start + (self.end - self.start) * part, 12)


class DBTargets:
    """Adds `shrink_map`, `shrink_mask`, `threshold_mask` (uint8, HxW) and `threshold_map` (float32, HxW) to a sample.

    Reads `polygons`, `ignored`, the size of `image` and, with a changing ratio, `epoch`. A region whose upright extent
    inside the canvas is under `min_text_size` pixels, or which vanishes when shrunk, is excluded from the loss
    (`shrink_mask` 0) and marked in `ignored`; it still is in the threshold map, which PaddleOCR draws first. Legible
    regions and those that are lost whole within the canvas are added to the sample's `counts`.

    Args:
        shrink_ratio: r of the paper's offset area · (1 - r²) / perimeter, in (0, 1); or a function of the epoch.
        min_text_size: pixels.
        thresh_min, thresh_max: values of the threshold map far from and on the outlines.
    """

    def __init__(
        self,
        shrink_ratio: float | Callable[[float], float] = 0.4,
        min_text_size: float = 8,
        thresh_min: float = 0.3,
        thresh_max: float = 0.7,
    ) -> None:
        if not callable(shrink_ratio) and not 0 < shrink_ratio < 1:
            raise ValueError(f"shrink_ratio: expected a number between 0 and 1 (the paper has 0.4), got {shrink_ratio}")
        if not 0 <= thresh_min < thresh_max <= 1:
            raise ValueError(f"expected thresh_min below thresh_max, both in 0..1, got {thresh_min} and {thresh_max}")
        self.shrink_ratio = shrink_ratio
        self.min_text_size = min_text_size
        self.thresh_min = thresh_min
        self.thresh_max = thresh_max

    def ratio(self, epoch: float) -> float:
        """The shrink ratio in the given epoch."""
        return self.shrink_ratio(epoch) if callable(self.shrink_ratio) else self.shrink_ratio

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        ratio = self.ratio(sample.get("epoch", 0))
        height, width = sample["image"].shape[:2]
        polygons = [polygon.astype(np.float64) for polygon in sample["polygons"]]
        ignored = np.array(sample["ignored"], dtype=bool)

        threshold_map = np.full((height, width), self.thresh_min, np.float32)
        threshold_mask = np.zeros((height, width), np.uint8)
        for polygon, skip in zip(polygons, ignored, strict=True):
            if not skip:
                draw_threshold(polygon, ratio, threshold_map, threshold_mask, self.thresh_min, self.thresh_max)

        shrink_map = np.zeros((height, width), np.uint8)
        shrink_mask = np.ones((height, width), np.uint8)
        counts = sample.setdefault("counts", {})
        counts[LEGIBLE] = len(polygons) - int(np.count_nonzero(ignored))
        for i, polygon in enumerate(polygons):
            inside = np.minimum(np.maximum(polygon, 0), (width - 1, height - 1))
            kernels = [] if ignored[i] else self._kernels(inside, ratio)
            if kernels:
                for kernel in kernels:
                    cv2.fillPoly(shrink_map, [kernel], 1)
            else:
                if not ignored[i] and (reason := why_lost(polygon, width, height, self.min_text_size)):
                    counts[reason] = counts.get(reason, 0) + 1
                ignored[i] = True
                cv2.fillPoly(shrink_mask, [inside.astype(np.int32)], 0)

        sample["ignored"] = ignored
        sample["threshold_map"] = threshold_map
        sample["threshold_mask"] = threshold_mask
        sample["shrink_map"] = shrink_map
        sample["shrink_mask"] = shrink_mask
        return sample

    def _kernels(self, inside: np.ndarray, ratio: float) -> list[np.ndarray]:
        """What is left of a polygon in the shrink map; nothing for one that is too small to be learned."""
        if (inside.max(axis=0) - inside.min(axis=0)).min() < self.min_text_size:
            return []
        area, perimeter = area_and_perimeter(inside)
        if abs(area) < 1:
            return []
        # PaddleOCR turns polygons to one direction; the offset does not depend on the direction, but its rounding may.
        return shrink_polygon(inside[::-1] if area < 0 else inside, abs(area), perimeter, ratio)
