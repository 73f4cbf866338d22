"""Reading order: lines from the top, each from the left.

PaddleOCR's sorted_boxes assigns boxes to one line if their top left corners differ by less than 10 pixels, whatever
their height, and only swaps neighbors: it breaks sloping lines into pieces. Here a box continues the line whose last
box points at it, measured by the heights and slopes of the boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ocrexp.deploy.crop import UPRIGHT_RATIO, rectangle
from ocrexp.types import Polygon

_ELONGATED = 2.0  # width divided by height from which a box's own slope is reliable
_SAME_LINE = 0.5  # of the taller box's height: how far a box may lie beside the line that points at it
_STEPS = 3  # number of steps between boxes of lines from which the page's slope is reliable
_OVERLAP = 0.5  # of the narrower box's width: how far boxes of a line may overlap


@dataclass(frozen=True, slots=True)
class _Box:
    index: int
    left: tuple[float, float]  # middle of the left edge
    right: tuple[float, float]
    height: float
    slope: float | None  # None: the box is too short, or axis-aligned, which tells nothing about the page

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left[0] + self.right[0]) / 2, (self.left[1] + self.right[1]) / 2


def reading_order(polygons: Sequence[Polygon]) -> list[int]:
    """Indices of regions (n, 2) in reading order.

    There is no special order for right-to-left and vertical writing: columns of vertical text are read from the left.
    """
    boxes = [_measure(index, polygon) for index, polygon in enumerate(polygons)]
    boxes.sort(key=lambda box: (box.left[0], box.left[1]))
    known = [box.slope for box in boxes if box.slope is not None]
    page_slope = float(np.median(known)) if known else 0.0
    lines = _lines(boxes, page_slope)
    if not known:  # axis-aligned boxes: the page's slope follows from their lines
        page_slope = _slope_of(lines)
        lines = _lines(boxes, page_slope)
    lines.sort(key=lambda line: _level(line, page_slope))
    return [box.index for line in lines for box in line]


def _lines(boxes: Sequence[_Box], page_slope: float) -> list[list[_Box]]:
    """Group boxes, which are sorted from left to right, into lines."""
    lines: list[list[_Box]] = []
    for box in boxes:
        offsets = [_offset(line[-1], box, page_slope) for line in lines]
        best = min(range(len(lines)), key=offsets.__getitem__, default=-1)
        if best >= 0 and offsets[best] < _SAME_LINE:
            lines[best].append(box)
        else:
            lines.append([box])
    return lines


def _slope_of(lines: Sequence[Sequence[_Box]]) -> float:
    """The median slope from a box to the next one in its line; 0 if there are too few."""
    steps = [(a.middle, b.middle) for line in lines for a, b in pairwise(line)]
    slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in steps if x1 > x0]
    return float(np.median(slopes)) if len(slopes) >= _STEPS else 0.0


def _measure(index: int, polygon: Polygon) -> _Box:
    quad = np.asarray(polygon, dtype=np.float64) if len(polygon) == 4 else rectangle(polygon).astype(np.float64)
    top_left, top_right, bottom_right, bottom_left = quad
    width = float(np.linalg.norm(top_right - top_left) + np.linalg.norm(bottom_right - bottom_left)) / 2
    height = float(np.linalg.norm(bottom_left - top_left) + np.linalg.norm(bottom_right - top_right)) / 2
    left, right = (top_left + bottom_left) / 2, (top_right + bottom_right) / 2
    if height >= UPRIGHT_RATIO * width:
        # A vertical line begins where its top does, and is as high as one of its characters.
        top = (top_left + top_right) / 2
        left = np.array([left[0], top[1] + width / 2])
        right = np.array([right[0], top[1] + width / 2])
        height = width
    slope = None
    turned = top_left[1] != top_right[1] or bottom_left[1] != bottom_right[1]
    if turned and width >= _ELONGATED * height and right[0] > left[0]:
        slope = float((right[1] - left[1]) / (right[0] - left[0]))
    return _Box(index, (float(left[0]), float(left[1])), (float(right[0]), float(right[1])), max(height, 1.0), slope)


def _offset(last: _Box, box: _Box, page_slope: float) -> float:
    """Distance of a box from the line that ends with `last`, in heights; infinite if it cannot follow it."""
    overlap = last.right[0] - box.left[0]
    if overlap > _OVERLAP * min(last.right[0] - last.left[0], box.right[0] - box.left[0]):
        return float("inf")
    known = [slope for slope in (last.slope, box.slope) if slope is not None]
    slope = sum(known) / len(known) if known else page_slope
    expected = last.right[1] - slope * overlap
    return abs(box.left[1] - expected) / max(last.height, box.height)


def _level(line: list[_Box], page_slope: float) -> float:
    """The vertical position of a line on the page, corrected by the page's slope."""
    return float(np.mean([(y - page_slope * x) for box in line for x, y in (box.left, box.right)]))
