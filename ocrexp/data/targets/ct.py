"""The targets of CT, CentripetalText (Sheng et al., arXiv 2107.05945): instances, kernels, and shifts to the kernels.

Drawn as PaddleOCR's MakeShrink and MakeCentripetalShift do, but after the augmentation, and without their faults: see
`CTTargets`.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from ocrexp.data.regions import LEGIBLE, SMALL
from ocrexp.data.targets.maps import area_and_perimeter
from ocrexp.types import Sample

_CROSS = np.ones((3, 3), np.uint8)
_MARGIN = 2  # pixels around a region that erosion may look at
Window = tuple[slice, slice]


class CTTargets:
    """Adds the targets of `losses.ct.CTLoss` to a sample, all of the size of `image`:

    - `instance`, `kernel_instance` int16 [H, W]: number of the region, and of the shrunk region, from 1; 0: none.
    - `kernel_mask`, `shift_mask` uint8 [H, W]: 0 where the loss of the kernels, and that of the shifts, does not count.
    - `shift` int16 [2, H, W]: x and y from a pixel of a region outside its kernel to the nearest point of the ring
      inside the kernel; in pixels.

    Reads `polygons`, `ignored` and the size of `image`. A region whose kernel has no inside is excluded from both
    losses and marked in `ignored`.

    PaddleOCR numbers regions in 8 bits, so the 256th becomes background; takes the first piece of a kernel that falls
    apart, here it is the largest; and erodes all kernels in one map of numbers, where touching ones get each other's
    rings.

    Args:
        kernel_scale: r of the offset area · (1 - r²) / perimeter, in (0, 1).
        max_shrink: largest offset, pixels.
    """

    def __init__(self, kernel_scale: float = 0.7, max_shrink: int = 20) -> None:
        if not 0 < kernel_scale < 1:
            raise ValueError(f"kernel_scale: expected a number between 0 and 1, got {kernel_scale}")
        if max_shrink < 1:
            raise ValueError(f"max_shrink: expected 1 or more, got {max_shrink}")
        self.kernel_scale = kernel_scale
        self.max_shrink = max_shrink

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        height, width = sample["image"].shape[:2]
        polygons = [polygon.astype(np.int32) for polygon in sample["polygons"]]
        ignored = np.array(sample["ignored"], dtype=bool)
        instance, kernel_instance = np.zeros((2, height, width), np.int16)
        kernel_mask, shift_mask = np.ones((2, height, width), np.uint8)
        shift = np.zeros((2, height, width), np.int16)
        for number, polygon in enumerate(polygons, start=1):
            cv2.fillPoly(instance, [polygon], number)
            cv2.fillPoly(kernel_mask, [polygon], 0)
            if ignored[number - 1]:
                cv2.fillPoly(shift_mask, [polygon], 0)
        kernels = [self._kernel(polygon) for polygon in polygons]
        for number, kernel in enumerate(kernels, start=1):
            cv2.fillPoly(kernel_instance, [kernel], number)
            if not ignored[number - 1]:
                cv2.fillPoly(kernel_mask, [kernel], 1)
        counts = sample.setdefault("counts", {})
        counts[LEGIBLE] = len(polygons) - int(np.count_nonzero(ignored))
        for number, polygon in enumerate(polygons, start=1):
            window = _window(polygon, height, width)
            if window is None:
                continue
            inside = instance[window] == number
            if not _draw_shifts(inside, kernel_instance[window], number, shift[:, window[0], window[1]]):
                kernel_mask[window][inside] = 0
                shift_mask[window][inside] = 0
                if not ignored[number - 1] and _is_inside(polygon, height, width):
                    counts[SMALL] = counts.get(SMALL, 0) + 1
                ignored[number - 1] = True
        sample["ignored"] = ignored
        made = {
            "instance": instance,
            "kernel_instance": kernel_instance,
            "kernel_mask": kernel_mask,
            "shift_mask": shift_mask,
            "shift": shift,
        }
        cast(dict[str, Any], sample).update(made)
        return sample

    def _kernel(self, polygon: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The shrunk polygon; the polygon itself if nothing is left of it."""
        area, perimeter = area_and_perimeter(polygon.astype(np.float64))
        distance = min(int(abs(area) * (1 - self.kernel_scale**2) / (perimeter + 0.001) + 0.5), self.max_shrink)
        offset = pyclipper.PyclipperOffset()
        try:
            offset.AddPath(polygon.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        except pyclipper.ClipperException:  # fewer than three different points
            return polygon
        paths = [path for path in offset.Execute(-distance) if len(path) > 2]
        return np.array(max(paths, key=lambda path: abs(pyclipper.Area(path))), np.int32) if paths else polygon


def _draw_shifts(
    inside: npt.NDArray[np.bool_],
    kernels: npt.NDArray[np.int16],
    number: int,
    shift: npt.NDArray[np.int16],
) -> bool:
    """Shifts of one region's pixels outside of kernels, in its window; False if its kernel has no inside."""
    eroded = cv2.erode((kernels == number).view(np.uint8), _CROSS)
    ring = eroded - cv2.erode(eroded, _CROSS)
    if not ring.any():
        return False
    rows, columns = np.nonzero(inside & (kernels == 0))
    if not len(rows):
        return True
    _, labels = cv2.distanceTransformWithLabels(1 - ring, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    ring_rows, ring_columns = np.nonzero(ring)
    places = np.zeros((len(ring_rows) + 1, 2), np.int16)  # of the ring's pixels, by label
    places[labels[ring_rows, ring_columns]] = np.stack([ring_columns, ring_rows], axis=1)
    nearest = places[labels[rows, columns]]
    shift[0, rows, columns] = nearest[:, 0] - columns
    shift[1, rows, columns] = nearest[:, 1] - rows
    return True


def _window(polygon: npt.NDArray[np.int32], height: int, width: int) -> Window | None:
    """Rows and columns around a polygon within the image; None if it is outside."""
    (left, top), (right, bottom) = polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()
    if left >= width or top >= height or right < 0 or bottom < 0:
        return None
    rows = slice(max(top - _MARGIN, 0), min(bottom + _MARGIN + 1, height))
    return rows, slice(max(left - _MARGIN, 0), min(right + _MARGIN + 1, width))


def _is_inside(polygon: npt.NDArray[np.int32], height: int, width: int) -> bool:
    """Whether no point is outside: a region that the crop cuts is no loss."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    return bool(low.min() >= 0 and high[0] < width and high[1] < height)
