"""Text components from DRRG's maps (Zhang et al., arXiv 2003.07493, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.components import component_boxes
from ocrexp.data.targets.locality import merge_and_suppress

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Proposals:
    """Components of an image: `boxes` (n, 4, 2), `scores` (n,), and their `numbers` (n, 6), see `data.targets`."""

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    numbers: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Proposer:
    """Finds the components of an image's maps; the thresholds are those of `DRRGPostprocess`."""

    text_region_thr: float
    center_region_thr: float
    center_region_area_thr: int
    comp_score_thr: float
    comp_shrink_ratio: float
    comp_ratio: float
    widths: tuple[float, float]
    nms_thr: float

    def __call__(self, maps: Map) -> Proposals:
        """Components of maps (6, H, W) with probabilities of text and of its center."""
        text, center, sine, cosine, top, bottom = maps
        length = np.sqrt(sine**2 + cosine**2 + 1e-8)
        sine, cosine = sine / length, cosine / length
        top, bottom = np.clip([top, bottom], 0, max(text.shape))  # of a network that has diverged
        geometry = np.stack([top, bottom, sine, cosine])
        is_text = text > self.text_region_thr
        contours, _ = cv2.findContours(
            (is_text & (center > self.center_region_thr)).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        found = [self._of_center(contour, text, is_text, geometry) for contour in contours]
        boxes = np.concatenate([np.zeros((0, 4, 2)), *found])
        scores = np.array([_mean_inside(text, box) for box in boxes])
        x, y = np.clip(boxes.mean(axis=1).astype(np.int64), 0, (text.shape[1] - 1, text.shape[0] - 1)).T
        top, bottom, sine, cosine = geometry[:, y, x].astype(np.float64)
        height = top + bottom
        width = np.clip(height * self.comp_ratio, *self.widths)
        return Proposals(boxes, scores, np.stack([x, y, height, width, cosine, sine], axis=1))

    def _of_center(
        self, contour: npt.NDArray[np.int32], text: Map, is_text: npt.NDArray[np.bool_], geometry: Map
    ) -> npt.NDArray[np.float64]:
        """Boxes of one center region, with what it encloses."""
        left, top, width, height = cv2.boundingRect(contour)
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], -1, 1, -1, offset=(-left, -top))
        nothing = np.zeros((0, 4, 2))
        if np.count_nonzero(inside) <= self.center_region_area_thr:
            return nothing
        window = slice(top, top + height), slice(left, left + width)
        rows, columns = np.nonzero(inside & (text[window] > self.comp_score_thr))
        rows, columns = rows + top, columns + left
        above, below, sine, cosine = geometry[:, rows, columns].astype(np.float64)
        boxes = component_boxes(
            np.stack([columns, rows], axis=1),
            above * self.comp_shrink_ratio,
            below * self.comp_shrink_ratio,
            np.stack([cosine, sine], axis=1),
            self.comp_ratio,
            self.widths,
        )
        boxes, _ = merge_and_suppress(boxes, text[rows, columns].astype(np.float64), self.nms_thr)
        return boxes if _lies_in(is_text, boxes) else nothing


def _lies_in(is_text: npt.NDArray[np.bool_], boxes: npt.NDArray[np.float64]) -> bool:
    """Whether half of the pixels of boxes are text."""
    if not len(boxes):
        return False
    whole = np.clip(boxes, -1, max(is_text.shape)).astype(np.int32)
    low = np.clip(whole.min(axis=(0, 1)), 0, is_text.shape[::-1])
    high = np.clip(whole.max(axis=(0, 1)) + 1, low, is_text.shape[::-1])
    covered = np.zeros((high - low)[::-1], np.uint8)
    if covered.size:
        cv2.drawContours(covered, list(whole), -1, 1, -1, offset=(-low).tolist())
    shared = covered & is_text[low[1] : high[1], low[0] : high[0]]
    return bool(np.count_nonzero(shared) >= np.count_nonzero(covered) * 0.5)


def _mean_inside(text: Map, box: npt.NDArray[np.float64]) -> float:
    corners = np.clip(box, 0, (text.shape[1] - 1, text.shape[0] - 1))
    low, high = corners.min(axis=0).astype(np.int32), corners.max(axis=0).astype(np.int32)
    mask = np.zeros((high - low + 1)[::-1], np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(np.ascontiguousarray(text[low[1] : high[1] + 1, low[0] : high[0] + 1]), mask)[0])
