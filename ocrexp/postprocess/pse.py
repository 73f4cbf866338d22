"""From the maps of PSENet to text regions (Wang et al., arXiv 1903.12473)."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.postprocess.db import smallest_rectangles
from ocrexp.postprocess.expansion import expand
from ocrexp.postprocess.source import to_source
from ocrexp.results import DetPrediction
from ocrexp.types import Batch

MAP_STRIDE = 4  # of the network's maps


class PSEPostProcess:
    """Regions of each image from `outputs["maps"]`, float32 logits [N, maps, H/4, W/4]: the text, then its kernels.

    The smallest kernels are separate regions; they grow until they fill the text (`expand`).

    Args:
        thresh: a pixel belongs to a map if its logit is above it; 0 is a probability of one half.
        box_thresh: a region is kept if the mean probability of its pixels is at least this.
        min_area: regions of fewer pixels are dropped, and smallest kernels too.
        box_type: `quad` gives rotated rectangles of four points, clockwise from the top left; `poly` outlines.
        scale: pixels of the image for each pixel of the maps in which regions are sought: 1 (exact), 2 or 4 (fast).

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (n, 2), rounded to whole source pixels and clipped to [0, width] and [0, height].

    Where PaddleOCR errs: with a scale above 1 its boxes stay in pixels of the small maps; of a region in several pieces
    it gives the outline of one, where the largest is taken here. Raises ValueError.
    """

    def __init__(
        self,
        thresh: float = 0.0,
        box_thresh: float = 0.85,
        min_area: float = 16,
        box_type: str = "quad",
        scale: int = 1,
    ) -> None:
        if box_type not in ("quad", "poly"):
            raise ValueError(f"box_type: expected quad or poly, got {box_type!r}")
        if scale not in (1, 2, 4):
            raise ValueError(f"scale: expected 1, 2 or 4, got {scale}")
        self.thresh = thresh
        self.box_thresh = box_thresh
        self.min_area = min_area
        self.box_type = box_type
        self.scale = scale

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        maps = np.asarray(outputs["maps"], dtype=np.float32)
        shapes = np.asarray(batch["shape"], dtype=np.float64)
        return [self._regions(of_image, shape) for of_image, shape in zip(maps, shapes, strict=True)]

    def _regions(self, maps: npt.NDArray[np.float32], shape: npt.NDArray[np.float64]) -> DetPrediction:
        maps = np.stack([self._enlarged(one) for one in maps])
        kernels = (maps > np.float32(self.thresh)).astype(np.uint8)
        kernels &= kernels[0]
        labels = expand(kernels, self.min_area)
        ys, xs = np.nonzero(labels)
        found = labels[ys, xs]
        order = np.argsort(found, kind="stable")
        found, points = found[order], np.stack([xs, ys], axis=1)[order].astype(np.int32)
        probability = 1 / (1 + np.exp(-maps[0][points[:, 1], points[:, 0]]))
        starts = np.flatnonzero(np.diff(found, prepend=0))
        ends = np.append(starts[1:], len(found))[: len(starts)]
        outlines, scores = [], []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            score = float(probability[start:end].mean())
            if end - start >= self.min_area and score >= self.box_thresh:
                outlines.append(self._outline(points[start:end]))
                scores.append(score)
        # The middle of a pixel of the small map is that of scale × scale pixels.
        enlarged = [outline * self.scale + (self.scale - 1) / 2 for outline in outlines]
        return DetPrediction(polygons=[np.round(polygon) for polygon in to_source(enlarged, shape)], scores=scores)

    def _enlarged(self, one: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        factor = MAP_STRIDE // self.scale
        if factor == 1:
            return one
        height, width = one.shape
        return np.asarray(cv2.resize(one, (width * factor, height * factor), interpolation=cv2.INTER_LINEAR))

    def _outline(self, points: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Outline (n, 2) of a region's pixels."""
        if self.box_type == "quad":
            return smallest_rectangles([points])[0][0].astype(np.float64)
        origin = points.min(axis=0)
        mask = np.zeros((points.max(axis=0) - origin + 1)[::-1], np.uint8)
        mask[points[:, 1] - origin[1], points[:, 0] - origin[0]] = 1
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        return np.asarray(max(contours, key=cv2.contourArea)[:, 0] + origin, np.float64)
