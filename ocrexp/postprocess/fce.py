"""From the maps of FCENet's head to text regions (Zhu et al., arXiv 2104.10442).

Each pixel of a text center gives an outline from its Fourier coefficients; of outlines that overlap the one with the
best score is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.postprocess.source import to_source
from ocrexp.postprocess.suppression import suppress
from ocrexp.results import DetPrediction
from ocrexp.types import Batch

Map = npt.NDArray[np.float32]
Candidates = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # outlines (n, points, 2), scores (n,)


class FCEPostProcess:
    """Regions of each image from `outputs["level_0"]` …, float32 [N, 4 + 2 (2K + 1), H/s, W/s], see `FCEHead`.

    Args:
        scales: strides of the levels.
        num_reconstr_points: points of an outline.
        box_thresh: a pixel gives an outline if its score is above it; the score is text^alpha · center^beta
            (PaddleOCR's score_thr).
        nms_thresh: of outlines with a larger IoU the best one is kept.
        alpha, beta: exponents of the probabilities of text and of its center.
        box_type: `poly` gives outlines; `quad` rotated rectangles of four points.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (n, 2), clipped to [0, width] and [0, height]; PaddleOCR cuts off the fractions in the resized image. Raises
    ValueError.
    """

    def __init__(
        self,
        scales: Sequence[int] = (8, 16, 32),
        num_reconstr_points: int = 50,
        box_thresh: float = 0.3,
        nms_thresh: float = 0.1,
        alpha: float = 1.0,
        beta: float = 1.0,
        box_type: str = "poly",
    ) -> None:
        if box_type not in ("quad", "poly"):
            raise ValueError(f"box_type: expected quad or poly, got {box_type!r}")
        if not (0 <= box_thresh <= 1 and 0 <= nms_thresh <= 1):
            raise ValueError(f"box_thresh, nms_thresh: expected numbers from 0 to 1, got {box_thresh} and {nms_thresh}")
        if num_reconstr_points < 4:
            raise ValueError(f"num_reconstr_points: expected 4 or more, got {num_reconstr_points}")
        if not scales or min(scales) < 1:
            raise ValueError(f"scales: expected strides, such as [8,16,32], got {list(scales)}")
        self.scales = list(scales)
        self.num_reconstr_points = num_reconstr_points
        self.box_thresh = box_thresh
        self.nms_thresh = nms_thresh
        self.alpha = alpha
        self.beta = beta
        self.box_type = box_type

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        levels = [np.asarray(outputs[f"level_{i}"], dtype=np.float32) for i in range(len(self.scales))]
        shapes = np.asarray(batch["shape"], dtype=np.float64)
        return [self.regions([level[i] for level in levels], shape) for i, shape in enumerate(shapes)]

    def regions(self, levels: Sequence[Map], shape: npt.NDArray[np.float64]) -> DetPrediction:
        """Regions of one image's levels (C, H/s, W/s); `shape` as in the class."""
        found = [self._of_level(level, scale) for level, scale in zip(levels, self.scales, strict=True)]
        outlines, scores = self._suppressed(*_joined(found, self.num_reconstr_points))
        polygons = [outline.astype(np.float64) for outline in outlines]
        if self.box_type == "quad":
            polygons = [cv2.boxPoints(cv2.minAreaRect(outline)).astype(np.float64) for outline in outlines]
        return DetPrediction(polygons=to_source(polygons, shape), scores=scores.tolist())

    def _of_level(self, maps: Map, scale: int) -> Candidates:
        score = maps[1] ** self.alpha * maps[3] ** self.beta
        coefficients = maps[4:].reshape(2, -1, *maps.shape[1:])
        contours, _ = cv2.findContours(
            (score > self.box_thresh).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        found = []
        for contour in contours:
            left, top, width, height = cv2.boundingRect(contour)
            inside = np.zeros((height, width), np.uint8)
            cv2.drawContours(inside, [contour], -1, 1, -1, offset=(-left, -top))
            rows, columns = np.nonzero(inside)
            rows, columns = rows + top, columns + left
            outlines = self._outlines(coefficients[:, :, rows, columns], columns, rows) * np.float32(scale)
            found.append(self._suppressed(outlines, score[rows, columns]))
        return self._suppressed(*_joined(found, self.num_reconstr_points))

    def _outlines(
        self, coefficients: Map, columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Points (n, points, 2) in pixels of the level, of coefficients (2, 2K + 1, n) at these pixels."""
        values = np.nan_to_num(coefficients, posinf=0.0, neginf=0.0).astype(np.float64)
        spectrum = (values[0] + 1j * values[1]).T
        degree = spectrum.shape[1] // 2
        spectrum[:, degree] += columns + 1j * rows
        angles = 2j * np.pi / self.num_reconstr_points
        waves = np.exp(angles * np.outer(np.arange(-degree, degree + 1), np.arange(self.num_reconstr_points)))
        points = spectrum @ waves
        return np.stack([points.real, points.imag], axis=2).astype(np.float32)

    def _suppressed(self, outlines: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> Candidates:
        if not len(scores):
            return outlines, scores
        kept = suppress(outlines, scores, self.nms_thresh)
        return outlines[kept], scores[kept]


def _joined(found: Sequence[Candidates], points: int) -> Candidates:
    if not found:
        return np.zeros((0, points, 2), np.float32), np.zeros(0, np.float32)
    return np.concatenate([outlines for outlines, _ in found]), np.concatenate([scores for _, scores in found])
