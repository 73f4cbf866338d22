"""The target maps of PSENet: the text and ever smaller kernels of it (Wang et al., arXiv 1903.12473, section 3.4).

Drawn as PaddleOCR's MakePseGt does, except where that is at fault: the text is the whole region, as in the paper, where
PaddleOCR shrinks it like its largest kernel, so that every detected box is too small; a region that falls apart when
it is shrunk keeps all pieces (PaddleOCR fails); a region without its smallest kernel is drawn into no map.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from ocrexp.data.regions import LEGIBLE
from ocrexp.data.targets.maps import area_and_perimeter, why_lost
from ocrexp.types import Sample


class PSETargets:
    """Adds `gt_text`, `mask` (uint8, HxW) and `gt_kernels` (uint8, kernel_num - 1 x H x W) to a sample.

    Reads `polygons`, `ignored` and the size of `image`. A region whose upright extent inside the canvas is under
    `min_text_size` pixels, or which has no smallest kernel, is excluded from the loss (`mask` 0) and marked in
    `ignored`. Legible regions and those that are lost whole within the canvas are added to the sample's `counts`.

    Args:
        kernel_num: number of maps, the text among them: the head's `out_channels`.
        min_shrink_ratio: ratio of the smallest kernel; the others are spread evenly between it and 1. A kernel is the
            region shrunk by area · (1 - ratio²) / perimeter.
        text_ratio: ratio of the text itself; 1: the whole region. PaddleOCR's weights were trained with that of the
            largest kernel, 0.9.
        min_text_size: pixels.
    """

    def __init__(
        self,
        kernel_num: int = 7,
        min_shrink_ratio: float = 0.4,
        text_ratio: float = 1.0,
        min_text_size: float = 8,
    ) -> None:
        if kernel_num < 2:
            raise ValueError(f"kernel_num: expected 2 or more, the text and its kernels, got {kernel_num}")
        if not 0 < min_shrink_ratio < 1:
            raise ValueError(f"min_shrink_ratio: expected a number between 0 and 1, got {min_shrink_ratio}")
        if not min_shrink_ratio < text_ratio <= 1:
            raise ValueError(f"text_ratio: expected a number above min_shrink_ratio, up to 1, got {text_ratio}")
        step = (1 - min_shrink_ratio) / (kernel_num - 1)
        self.ratios = [1 - step * number for number in range(1, kernel_num)]  # from the largest to the smallest
        self.text_ratio = text_ratio
        self.min_text_size = min_text_size

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        height, width = sample["image"].shape[:2]
        ignored = np.array(sample["ignored"], dtype=bool)
        text = np.zeros((height, width), np.uint8)
        kernels = np.zeros((len(self.ratios), height, width), np.uint8)
        mask = np.ones((height, width), np.uint8)
        counts = sample.setdefault("counts", {})
        counts[LEGIBLE] = len(ignored) - int(np.count_nonzero(ignored))
        for index, polygon in enumerate(sample["polygons"]):
            inside = np.minimum(np.maximum(polygon.astype(np.float64), 0), (width - 1, height - 1))
            maps = [] if ignored[index] else self._shrunk(inside)
            if not maps:
                reason = None if ignored[index] else why_lost(polygon, width, height, self.min_text_size)
                if reason:
                    counts[reason] = counts.get(reason, 0) + 1
                ignored[index] = True
                cv2.fillPoly(mask, [inside.astype(np.int32)], 0)
                continue
            for target, pieces in zip((text, *kernels), maps, strict=True):
                cv2.fillPoly(target, pieces, 1)
        sample["ignored"] = ignored
        made: dict[str, Any] = {"gt_text": text, "gt_kernels": kernels, "mask": mask}
        return cast(Sample, {**sample, **made})

    def _shrunk(self, inside: npt.NDArray[np.float64]) -> list[list[npt.NDArray[np.int32]]]:
        """Pieces of the text and of each kernel; nothing for a region that is too small to be learned."""
        if (inside.max(axis=0) - inside.min(axis=0)).min() < self.min_text_size:
            return []
        area, perimeter = area_and_perimeter(inside)
        if abs(area) < 1:
            return []
        offset = pyclipper.PyclipperOffset()
        whole = inside.astype(np.int64)
        try:
            offset.AddPath(whole.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        except pyclipper.ClipperException:  # fewer than three different whole pixels
            return []
        maps: list[list[npt.NDArray[np.int32]]] = []
        for ratio in (self.text_ratio, *self.ratios):
            if ratio == 1:
                maps.append([whole.astype(np.int32)])
                continue
            paths = offset.Execute(-abs(area) * (1 - ratio * ratio) / perimeter)
            maps.append([np.array(path, dtype=np.int32) for path in paths])
        return maps if maps[-1] else []
