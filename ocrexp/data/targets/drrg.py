"""The targets of DRRG (Zhang et al., arXiv 2003.07493): text, its center with its geometry, and text components.

Drawn as PaddleOCR's DRRGTargets does, except for its faults: see `DRRGTargets`.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.regions import LEGIBLE
from ocrexp.data.targets.components import component_boxes
from ocrexp.data.targets.fourier import Points, resampled, side_lines, with_four_points
from ocrexp.data.targets.locality import merge_and_suppress
from ocrexp.types import Sample

TOP, BOTTOM, SIN, COS = range(4)  # channels of the geometry
_EPS = 1e-8
_STEEP = 2.0  # a text whose ends are this many times as far apart in y as in x is read downwards
Map = npt.NDArray[np.uint8]
Geometry = npt.NDArray[np.float32]


class DRRGTargets:
    """Adds targets of the size of `image` to a sample, and components of its text:

    - `gt_text`, `gt_center` uint8 [H, W]: 1 inside of text, and in a band around its middle line; `mask` uint8 [H, W]:
      0 in illegible regions.
    - `gt_geometry` float32 [4, H, W], at centers: distances to the upper and to the lower side in pixels; sin and cos
      of the direction from the lower to the upper side.
    - `gt_components` float32 [num_max_comps, 8]: number of components, then for each one x, y, height, width, cos, sin
      of the same direction, and the number of its text from 1; 0: beside all text.

    Reads `polygons`, `ignored` and the size of `image`. Legible regions are added to the sample's `counts`.

    Where PaddleOCR errs: it takes illegible regions for text where their flags are numpy's; it fails where a crop has
    no room beside its text; at the border of the image heights are drawn on other pixels than centers.

    Args:
        resample_step: pixels between two points of a middle line.
        num_min_comps, num_max_comps: components of an image; missing ones are drawn beside the text.
        min_width, max_width: of a component, pixels.
        center_region_shrink_ratio: height of a center as a share of the text's.
        comp_shrink_ratio: height of a component as a share of the text's.
        comp_w_h_ratio: width of a component as a share of its height.
        text_comp_nms_thr: IoU above which neighboring components become one.
        min_rand_half_height, max_rand_half_height: of components beside the text, pixels.
        jitter_level: components are moved, scaled and turned by up to half of this share at random.
    """

    def __init__(
        self,
        resample_step: float = 8.0,
        num_min_comps: int = 9,
        num_max_comps: int = 600,
        min_width: float = 8.0,
        max_width: float = 24.0,
        center_region_shrink_ratio: float = 0.3,
        comp_shrink_ratio: float = 1.0,
        comp_w_h_ratio: float = 0.3,
        text_comp_nms_thr: float = 0.25,
        min_rand_half_height: float = 8.0,
        max_rand_half_height: float = 24.0,
        jitter_level: float = 0.2,
    ) -> None:
        for name, value in (("resample_step", resample_step), ("comp_w_h_ratio", comp_w_h_ratio)):
            if value <= 0:
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        if not 2 <= num_min_comps <= num_max_comps:
            raise ValueError(
                f"num_min_comps: expected a number from 2 to num_max_comps={num_max_comps}, got {num_min_comps}"
            )
        for low, high in (("min_width", "max_width"), ("min_rand_half_height", "max_rand_half_height")):
            if not 0 < locals()[low] < locals()[high]:
                raise ValueError(f"{low}: expected a number between 0 and {high}={locals()[high]}, got {locals()[low]}")
        self.resample_step = resample_step
        self.num_min_comps = num_min_comps
        self.num_max_comps = num_max_comps
        self.widths = (min_width, max_width)
        self.center_region_shrink_ratio = center_region_shrink_ratio
        self.comp_shrink_ratio = comp_shrink_ratio
        self.comp_w_h_ratio = comp_w_h_ratio
        self.text_comp_nms_thr = text_comp_nms_thr
        self.rand_half_heights = (min_rand_half_height, max_rand_half_height)
        self.jitter_level = jitter_level

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        size = sample["image"].shape[:2]
        ignored = np.asarray(sample["ignored"], dtype=bool)
        sample.setdefault("counts", {})[LEGIBLE] = len(ignored) - int(np.count_nonzero(ignored))
        text, center, lines = np.zeros((3, *size), np.uint8)
        mask = np.ones(size, np.uint8)
        geometry = np.zeros((4, *size), np.float32)
        for polygon, skip in zip(sample["polygons"], ignored, strict=True):
            outline = polygon.astype(np.int32)
            if skip:
                cv2.fillPoly(mask, [outline], 0)
                continue
            cv2.fillPoly(text, [outline], 1)
            line = self._draw_center(with_four_points(polygon.astype(np.float64)), center, geometry)
            cv2.polylines(lines, [line.astype(np.int32)], False, 1, 1)
        components = self._components(lines & center, center, geometry, rng)
        missing = self.num_min_comps - len(components)
        if missing > 0:
            components = np.concatenate([components, self._beside(text, missing, rng)])
        components = components[: self.num_max_comps]
        padded = np.zeros((self.num_max_comps, 8), np.float32)
        padded[: len(components), 0] = len(components)
        padded[: len(components), 1:] = components
        made = {"gt_text": text, "gt_center": center, "mask": mask, "gt_geometry": geometry, "gt_components": padded}
        cast(dict[str, Any], sample).update(made)
        return sample

    def _draw_center(self, points: Points, center: Map, geometry: Geometry) -> Points:
        """Draws the band around a text's middle line; the line (n, 2)."""
        upper, lower = self._sides(points)
        middle = (upper + lower) / 2
        band = [middle + (side - middle) * self.center_region_shrink_ratio for side in (upper, lower)]
        boxes = np.stack([band[0][:-1], band[0][1:], band[1][1:], band[1][:-1]], axis=1).astype(np.int32)
        upward = (upper[:-1] + upper[1:] - lower[:-1] - lower[1:]) / 2
        upward = upward / (np.hypot(upward[:, 0], upward[:, 1]) + _EPS)[:, None]
        left, top = np.clip(boxes.min(axis=(0, 1)), 0, center.shape[::-1]).tolist()
        right, bottom = np.clip(boxes.max(axis=(0, 1)) + 1, (left, top), center.shape[::-1]).tolist()
        numbers = np.zeros((bottom - top, right - left), np.int16)
        if numbers.size:
            for number, box in enumerate(boxes, start=1):
                cv2.fillPoly(numbers, [box], number, offset=(-left, -top))
        rows, columns = np.nonzero(numbers)
        piece = numbers[rows, columns] - 1
        rows, columns = rows + top, columns + left
        center[rows, columns] = 1
        geometry[TOP, rows, columns] = _distances(columns, rows, upper[piece], upper[piece + 1])
        geometry[BOTTOM, rows, columns] = _distances(columns, rows, lower[piece], lower[piece + 1])
        geometry[COS, rows, columns], geometry[SIN, rows, columns] = upward[piece].T
        return middle

    def _sides(self, points: Points) -> tuple[Points, Points]:
        """Points of the upper and the lower side opposite to each other, in the direction of reading, without the ends
        of the text."""
        upper, lower = side_lines(points)
        length = sum(float(np.hypot(*(side[1:] - side[:-1]).T).sum()) for side in (upper, lower)) / 2
        count = max(int(length / self.resample_step), 2)
        # As in PaddleOCR from corner to opposite corner, at both ends.
        ends = np.hypot(*(upper[[0, -1]] - lower[[0, -1]]).T) * self.comp_w_h_ratio
        head, tail = (np.clip(ends, *self.widths) / 2 // self.resample_step).astype(int).tolist()
        upper, lower = resampled(upper, count), resampled(lower, count)[::-1]
        run = (upper[-1] + lower[-1] - upper[0] - lower[0]) / 2
        if run[int(abs(run[1]) > _STEEP * abs(run[0] + _EPS))] < 0:
            upper, lower = upper[::-1], lower[::-1]
        if len(upper) > head + tail + 2:
            kept = slice(head, len(upper) - tail)
            upper, lower = upper[kept], lower[kept]
        return upper, lower

    def _components(
        self, lines: Map, center: Map, geometry: Geometry, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Components along middle lines (n, 7): x, y, height, width, cos, sin, number of the text."""
        columns, rows = _places(lines)
        top, bottom, sine, cosine = geometry[:, rows, columns].astype(np.float64)
        boxes = component_boxes(
            np.stack([columns, rows], axis=1),
            top * self.comp_shrink_ratio,
            bottom * self.comp_shrink_ratio,
            np.stack([cosine, sine], axis=1),
            self.comp_w_h_ratio,
            self.widths,
        )
        boxes, _ = merge_and_suppress(boxes, np.ones(len(boxes)), self.text_comp_nms_thr)
        boxes = np.clip(boxes, 0, (lines.shape[1] - 1, lines.shape[0] - 1))
        x, y = boxes.mean(axis=1).astype(np.int64).T
        top, bottom, sine, cosine = geometry[:, y, x].astype(np.float64)
        height = top + bottom
        width = np.clip(height * self.comp_w_h_ratio, *self.widths)
        components = np.stack([x, y, height, width, cosine, sine, _numbers(center, x, y)], axis=1)
        return self._jittered(components, rng)

    def _jittered(self, components: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
        x, y, height, width, cosine, sine, numbers = components.T
        chance = (rng.random((6, len(components))) - 0.5) * self.jitter_level
        x = x + chance[0] * (height * np.abs(cosine) + width * np.abs(sine))
        y = y + chance[1] * (height * np.abs(sine) + width * np.abs(cosine))
        height, width = height * (1 + chance[2]), width * (1 + chance[3])
        cosine, sine = cosine + 2 * chance[4], sine + 2 * chance[5]
        length = np.sqrt(cosine**2 + sine**2 + _EPS)
        return np.stack([x, y, height, width, cosine / length, sine / length, numbers], axis=1)

    def _beside(self, text: Map, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Components of no text, at places where there is none if there are such."""
        low, high = self.rand_half_heights
        margin = self._margin(high)
        shorter = min(text.shape)
        if 2 * margin + 1 > shorter:
            high = max(shorter / 4, self.widths[0] / 2 + 1)
            low = max(high / 4, self.widths[0] / 2)
            margin = min(self._margin(high), (shorter - 1) // 2)
        inner = np.zeros_like(text)
        window = slice(margin, text.shape[0] - margin), slice(margin, text.shape[1] - margin)
        inner[window] = 1 - text[window]
        side = int(np.clip(high, 7, 21))
        x, y = _some_places(cv2.erode(inner, np.ones((side, side), np.uint8)), count, rng)
        height = rng.integers(int(low), max(int(high), int(low) + 1), (2, count)).sum(axis=0).astype(np.float64)
        width = np.clip(height * self.comp_w_h_ratio, *self.widths)
        direction = rng.uniform(-1, 1, (2, count))
        direction = direction / np.sqrt((direction**2).sum(axis=0) + _EPS)
        return np.stack([x, y, height, width, *direction, np.zeros(count)], axis=1)

    def _margin(self, half_height: float) -> int:
        """Pixels from the border at which a component of this size is within the image in each direction."""
        width = float(np.clip(2 * half_height * self.comp_w_h_ratio, *self.widths))
        return int(np.hypot(half_height, width / 2)) + 1


def _numbers(center: Map, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of the connected centers at places (n,), from 1; 0 outside of them."""
    left, top, width, height = cv2.boundingRect(center)
    if not width:
        return np.zeros(len(x), np.int64)
    _, numbers = cv2.connectedComponents(center[top : top + height, left : left + width], connectivity=8)
    column, row = np.clip(x - left, 0, width - 1), np.clip(y - top, 0, height - 1)
    return np.where(center[y, x] > 0, numbers[row, column], 0)


def _places(mask: Map) -> npt.NDArray[np.int32]:
    """x and y (2, n) of the pixels of a mask, row by row."""
    found = cv2.findNonZero(mask)
    return np.zeros((2, 0), np.int32) if found is None else found.reshape(-1, 2).T


def _some_places(mask: Map, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """x and y (2, count) of random pixels of a mask; of any pixels if it has none."""
    tried = rng.integers(0, mask.shape[::-1], (16 * count, 2))
    inside = tried[mask[tried[:, 1], tried[:, 0]] > 0]
    if len(inside) < count and (found := _places(mask).T).size:
        inside = found[rng.integers(0, len(found), count)]
    return np.asarray((inside if len(inside) >= count else tried)[:count].T, np.int64)


def _distances(
    columns: npt.NDArray[np.intp], rows: npt.NDArray[np.intp], start: Points, end: Points
) -> npt.NDArray[np.float64]:
    """Distances of pixels to the lines through pairs of points (n, 2)."""
    (x, y), (along_x, along_y) = start.T, (end - start).T
    across = along_x * (rows - y) - along_y * (columns - x)
    return np.asarray(np.abs(across) / (np.hypot(along_x, along_y) + _EPS))
