"""From the maps of a CentripetalText head to text regions (Sheng et al., arXiv 2107.05945).

The kernels are the connected regions of the kernel map; each pixel belongs to the kernel to which its shift leads.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.postprocess.source import to_source
from ocrexp.results import DetPrediction
from ocrexp.types import Batch

STRIDE = 4  # of the maps
SHIFT_UNIT = 10.0  # pixels of the image
SMALLEST_KERNEL = 10  # pixels of the map

Map = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]  # (height, width), 0: background


class CTPostProcess:
    """Regions of each image from `outputs["maps"]`, float32 [N, 3, H/4, W/4]: the probabilities of kernels, and the
    shifts in x and y, in tens of pixels.

    Args:
        thresh: a pixel belongs to a kernel if its probability is above it (PaddleOCR: logits above 0.2).
        box_thresh: a region is kept if the mean probability of its kernel is at least this.
        min_area: smallest region, in pixels of the resized image.
        box_type: `poly` gives outlines; `quad` rotated rectangles of four points.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (n, 2), clipped to [0, width] and [0, height]. Raises ValueError.

    Where PaddleOCR errs: it cannot read maps larger than 300 × 300; of a region in several pieces it takes the first
    outline that is found, here it is the largest; its outlines may touch themselves, and then have no defined overlap
    with the ground truth; and it shrinks the sides of rectangles to 0.85.
    """

    def __init__(
        self, thresh: float = 0.55, box_thresh: float = 0.88, min_area: int = 16, box_type: str = "poly"
    ) -> None:
        if box_type not in ("quad", "poly"):
            raise ValueError(f"box_type: expected quad or poly, got {box_type!r}")
        if not (0 <= thresh < 1 and 0 <= box_thresh <= 1):
            raise ValueError(f"thresh, box_thresh: expected numbers from 0 to 1, got {thresh} and {box_thresh}")
        self.thresh = thresh
        self.box_thresh = box_thresh
        self.min_area = min_area
        self.box_type = box_type

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        maps = np.asarray(outputs["maps"], dtype=np.float32)
        shapes = np.asarray(batch["shape"], dtype=np.float64)
        return [self.regions(one, shape) for one, shape in zip(maps, shapes, strict=True)]

    def regions(self, maps: Map, shape: npt.NDArray[np.float64]) -> DetPrediction:
        """Regions of one image's maps (3, H/4, W/4); `shape` as in the class."""
        kernels = _kernels(maps[0] > self.thresh)
        inside = kernels > 0
        counts = np.bincount(kernels[inside])
        scores = np.bincount(kernels[inside], weights=maps[0][inside]) / np.maximum(counts, 1)
        labels = _assigned(kernels, maps[1:])
        found = []
        for number, window in _windows(labels):
            score = float(scores[number])
            if score < self.box_thresh:
                continue
            region = (labels[window] == number).view(np.uint8)
            if int(np.count_nonzero(region)) * STRIDE**2 < self.min_area:
                continue
            outline = self._outline(region)
            origin = np.array([window[1].start, window[0].start], np.float64) * STRIDE
            found.append((outline + origin, score))
        outlines = [outline for outline, _ in found]
        return DetPrediction(polygons=to_source(outlines, shape), scores=[score for _, score in found])

    def _outline(self, region: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Outline of the largest piece, in pixels of the resized image."""
        height, width = region.shape
        enlarged = cv2.resize(region, (width * STRIDE, height * STRIDE), interpolation=cv2.INTER_NEAREST)
        # Grown by a pixel, so that no outline touches itself where two of the map's pixels meet at a corner.
        grown = cv2.dilate(np.pad(enlarged, 1), np.ones((3, 3), np.uint8))
        contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        largest = max(contours, key=cv2.contourArea)
        points = cv2.boxPoints(cv2.minAreaRect(largest)) if self.box_type == "quad" else largest[:, 0]
        return points.astype(np.float64) - 0.5  # the padding, and the middle of a pixel


def _kernels(binary: npt.NDArray[np.bool_]) -> Labels:
    """Numbers of the connected regions (4 neighbors); those that are too small are 0."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(binary.view(np.uint8), connectivity=4)
    numbers = np.arange(count, dtype=np.int32)
    numbers[statistics[:, cv2.CC_STAT_AREA] < SMALLEST_KERNEL] = 0
    return numbers[labels]


def _assigned(kernels: Labels, shifts: Map) -> Labels:
    """Each pixel gets the number of the kernel to which its shift leads; a kernel's pixels keep their own."""
    height, width = kernels.shape
    scale = np.float32(SHIFT_UNIT / STRIDE)
    shifts = np.nan_to_num(shifts, posinf=0.0, neginf=0.0)  # of a network that has diverged
    x = np.clip(np.arange(width, dtype=np.float32) + scale * shifts[0], 0, width - 1).astype(np.int64)
    y = np.clip(np.arange(height, dtype=np.float32)[:, None] + scale * shifts[1], 0, height - 1).astype(np.int64)
    labels: Labels = np.where(kernels > 0, kernels, kernels[y, x])
    return labels


def _windows(labels: Labels) -> list[tuple[int, tuple[slice, slice]]]:
    """Each number and the rows and columns around its pixels."""
    rows, columns = np.nonzero(labels)
    if not len(rows):
        return []
    order = np.argsort(labels[rows, columns], kind="stable")
    numbers, starts = np.unique(labels[rows, columns][order], return_index=True)
    edges = [
        (np.minimum.reduceat(places[order], starts).tolist(), np.maximum.reduceat(places[order], starts).tolist())
        for places in (rows, columns)
    ]
    (top, bottom), (left, right) = edges
    return [
        (number, (slice(top[i], bottom[i] + 1), slice(left[i], right[i] + 1)))
        for i, number in enumerate(numbers.tolist())
    ]
