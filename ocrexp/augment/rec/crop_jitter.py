"""Crops of lines as a detector cuts them: edges moved in or out, slightly tilted, with parts of the next lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.augment.rec.base import check_probability, check_share
from ocrexp.types import Image, ImageKind, Sample

_SMALLEST_SIDE = 8  # pixels: with fewer, one pixel is more than what a detector's box differs by
_MOST_CUT = 1 / 8  # share of the image's side that one edge may cut: the only character of a line stays
_WIDEST_GAP = 0.15  # share of the height: a next line begins so far from the box, or has as much of it inside
_LEAST_SHOWN = 0.05  # share of the height: less than this shows nothing of the next line


class CropJitter:
    """Cuts the line again, as a detector's box differs from the labeled one.

    Every edge moves by its own random share of the line's height: inwards, which cuts the text a little, or outwards.
    What lies beyond the image is its border, repeated or reflected, or the edge of another training image, as of the
    next line. Some boxes are tilted, and their corners moved apart (one cubic resampling, as the crops of
    `ocrexp.deploy`); the others are cut at whole pixels.

    The defaults are those of two detectors on scanned receipts, see docs/finetuning.md. With `prob=0` no random number
    is drawn. Images with a side below 8 pixels are unchanged, and no edge cuts more than an eighth of the image.

    Args:
        prob: probability.
        across: range that the upper and the lower edge move outwards in, shares of the labeled line's height.
        along: the same of the left and the right edge; shares of the height too.
        margin: what the training crops already have around the labeled box, a share of its height.
        tilt_prob: probability that a box is tilted.
        tilt: largest difference between its ends, a share of the height.
        angle: largest angle of a tilted box in degrees; it bounds short lines, `tilt` long ones.
        perspective: largest move of a tilted box's corner up or down, a share of the height.
        neighbor_prob: probability that another line is laid above, below or on both sides; it is visible where the
            edge has moved far enough.
        reflect_prob: probability that the border is reflected; otherwise it is repeated.

    Raises ValueError for values out of their range.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self,
        prob: float = 0.5,
        across: Sequence[float] = (-0.1, 0.3),
        along: Sequence[float] = (-0.15, 0.3),
        margin: float = 0.0,
        tilt_prob: float = 0.25,
        tilt: float = 0.3,
        angle: float = 4.0,
        perspective: float = 0.04,
        neighbor_prob: float = 0.5,
        reflect_prob: float = 0.2,
    ) -> None:
        for name, value in (("prob", prob), ("tilt_prob", tilt_prob), ("neighbor_prob", neighbor_prob)):
            check_probability(name, value)
        check_probability("reflect_prob", reflect_prob)
        if neighbor_prob + reflect_prob > 1:
            raise ValueError(
                f"neighbor_prob, reflect_prob: expected a sum of up to 1, got {neighbor_prob} and {reflect_prob}"
            )
        check_share("margin", margin)
        check_share("tilt", tilt)
        check_share("angle", angle, 45)
        check_share("perspective", perspective, 0.25)
        self.prob = prob
        self.across = _moves("across", across)
        self.along = _moves("along", along)
        self.margin = margin
        self.tilt_prob = tilt_prob
        self.tilt = tilt
        self.angle = angle
        self.perspective = perspective
        self.neighbor_prob = neighbor_prob
        self.reflect_prob = reflect_prob

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.prob and rng.random() < self.prob and min(sample["image"].shape[:2]) >= _SMALLEST_SIDE:
            sample["image"] = self._cut(sample["image"], sample["others"], rng)
        return sample

    def _cut(self, image: Image, others: Callable[[np.random.Generator], Sample], rng: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        quad = self._quad(height, width, rng)
        lowest, highest = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
        left, top = np.maximum(-lowest, 0).tolist()
        right, bottom = np.maximum(highest - (width, height), 0).tolist()
        fill = rng.random()
        beyond = fill < self.neighbor_prob and max(top, bottom) > _LEAST_SHOWN * height
        reflected = self.neighbor_prob <= fill < self.neighbor_prob + self.reflect_prob
        border = cv2.BORDER_REFLECT if reflected else cv2.BORDER_REPLICATE
        canvas = cv2.copyMakeBorder(image, top, bottom, left, right, border)
        if beyond:
            above, below = ((True, False), (False, True), (True, True))[int(rng.integers(3))]
            if above and top:
                _lay(canvas[:top][::-1], others(rng)["image"][::-1], height, rng)
            if below and bottom:
                _lay(canvas[top + height :], others(rng)["image"], height, rng)
        return _content(canvas, quad + np.array([left, top]))

    def _quad(self, height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """The corners of the new crop in the image's pixels, [4, 2], clockwise from the top left."""
        line = height / (1 + 2 * self.margin)
        up, down = np.maximum((rng.uniform(*self.across, 2) - self.margin) * line, -_MOST_CUT * height)
        back, on = np.maximum((rng.uniform(*self.along, 2) - self.margin) * line, -_MOST_CUT * width)
        x, y = np.round([-back, width + on]), np.round([-up, height + down])
        quad = np.array([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]])
        if rng.random() < self.tilt_prob:
            most = min(self.tilt * line, math.tan(math.radians(self.angle)) * width)
            rise = rng.uniform(-most, most) / 2
            quad[:, 1] += np.array([-rise, rise, rise, -rise])
            quad[:, 1] += rng.uniform(-1, 1, 4) * self.perspective * line
        return quad


def _moves(name: str, values: Sequence[float]) -> tuple[float, float]:
    if len(values) != 2 or not -0.5 <= values[0] <= values[1] <= 1:
        raise ValueError(f"{name}: expected [low, high] from -0.5 (inwards) to 1 (outwards), got {list(values)}")
    return float(values[0]), float(values[1])


def _lay(strip: Image, other: Image, height: int, rng: np.random.Generator) -> None:
    """Writes the first rows of another line, resized to `height`, into a strip, from a random row and column on.

    Its brightness is shifted to that of the strip, so that the paper is the same.
    """
    rows, columns = strip.shape[:2]
    width = max(round(other.shape[1] * height / other.shape[0]), 1)
    gap, begin = int(rng.uniform(-_WIDEST_GAP, _WIDEST_GAP) * height), int(rng.uniform(-width, columns) / 2)
    skipped, gap = max(-gap, 0), max(gap, 0)
    shown = min(rows - gap, height - skipped)
    first, last = max(begin, 0), min(begin + width, columns)
    if shown > 0 and first < last:
        line = cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)
        line = line[skipped : skipped + shown, first - begin : last - begin]
        lighter = np.median(strip) - np.median(other)
        strip[gap : gap + shown, first:last] = np.clip(line + lighter, 0, 255)


def _content(canvas: Image, quad: npt.NDArray[np.float64]) -> Image:
    """The content of the quad; its longer sides give the width and height."""
    top_left, top_right, bottom_right, bottom_left = quad
    sides = np.linalg.norm([top_right - top_left, bottom_right - bottom_left], axis=1)
    width = max(int(sides.max()), 1)
    sides = np.linalg.norm([bottom_left - top_left, bottom_right - top_right], axis=1)
    height = max(int(sides.max()), 1)
    left, top = top_left.astype(int).tolist()
    if (quad == [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]).all():
        return np.ascontiguousarray(canvas[top : top + height, left : left + width])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
    return np.asarray(
        cv2.warpPerspective(canvas, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )
