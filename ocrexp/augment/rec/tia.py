"""Geometric augmentation of text lines: distort, stretch, perspective (TIA, "Learn to Augment").

All amounts are shares of the image's own sizes. PaddleOCR's are shares of a segment's width in both directions, so that
the points of a long line move by more than its height and its letters fold over one another; here moves are bounded by
shares of the height too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrexp.augment.rec.base import ImageOp, as_range, check_share
from ocrexp.augment.rec.mls import ControlPoints, Points, warp
from ocrexp.types import Image

_SMALLEST_SIDE = 8  # with fewer pixels a warp only blurs
_SMALLEST_SEGMENT = 6
# Shares of the height that a point of a distorted line moves at most, up or down and left or right.
_HIGHEST_WAVE, _WIDEST_LEAN = 0.25, 0.5


def distort(height: int, width: int, segments: int, amount: float, rng: np.random.Generator) -> ControlPoints:
    """Points along both edges move at random, by `amount` of a segment's width at most; corners move inwards."""
    before = _edges(height, width, segments)
    across = min(amount * width / segments, _WIDEST_LEAN * height)
    down = min(across, _HIGHEST_WAVE * height)
    x, y = rng.random((2, len(before)))
    moves = across * (x - 0.5) + 1j * down * (y - 0.5)
    corners = [0, segments, segments + 1, 2 * segments + 1]
    moves[corners] = across * x[corners] * (1, -1, 1, -1) + 1j * down * y[corners] * (1, 1, -1, -1)
    return ControlPoints(before, before + moves)


def stretch(height: int, width: int, segments: int, amount: float, rng: np.random.Generator) -> ControlPoints:
    """The cuts between segments move left or right, by half of `amount` of a segment's width at most."""
    before = _edges(height, width, segments)
    moves = np.zeros(segments + 1)
    moves[1:-1] = (rng.random(segments - 1) - 0.5) * amount * width / segments
    return ControlPoints(before, before + np.tile(moves, 2))


def perspective(height: int, width: int, amount: float, rng: np.random.Generator) -> ControlPoints:
    """The four corners move up or down into the image, by `amount` of its height at most."""
    before = _edges(height, width, 1)
    moves = rng.random(4) * amount * (height - 1)
    return ControlPoints(before, before + 1j * moves * np.array([1, 1, -1, -1]))


def _edges(height: int, width: int, segments: int) -> Points:
    """The cuts of the upper edge from left to right, then those of the lower one."""
    x = np.arange(segments + 1) * ((width - 1) / segments)
    return np.concatenate([x + 0j, x + 1j * (height - 1)])


class TIA(ImageOp):
    """Distort, stretch and perspective after one another, in one resampling; an amount of 0 leaves a step out.

    Images with a side below 8 pixels stay as they are.

    Args:
        p: probability.
        distort: greatest move of a cut, a share of a segment's width.
        stretch: range that a cut between segments may move in, a share of a segment's width.
        perspective: greatest move of a corner, a share of the height, below 0.5.
        segments: least and greatest number of segments.
    """

    def __init__(
        self,
        p: float = 0.4,
        distort: float = 0.333,
        stretch: float = 0.8,
        perspective: float = 0.3,
        segments: Sequence[int] = (3, 6),
    ) -> None:
        super().__init__(p)
        check_share("distort", distort, 0.5)
        check_share("stretch", stretch, 0.9)
        check_share("perspective", perspective, 0.49)
        low, high = as_range("segments", segments, 1)
        self.segments = (int(low), int(high))
        self.distort = distort
        self.stretch = stretch
        self.perspective = perspective

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        if min(height, width) < _SMALLEST_SIDE:
            return image
        steps = []
        if self.distort:
            steps.append(distort(height, width, self._draw_segments(width, rng), self.distort, rng))
        if self.stretch:
            steps.append(stretch(height, width, self._draw_segments(width, rng), self.stretch, rng))
        if self.perspective:
            steps.append(perspective(height, width, self.perspective, rng))
        return warp(image, steps) if steps else image

    def _draw_segments(self, width: int, rng: np.random.Generator) -> int:
        low, high = self.segments
        return min(int(rng.integers(low, high + 1)), max(width // _SMALLEST_SEGMENT, 1))


class Distort(TIA):
    """The first step of `TIA` alone."""

    def __init__(self, p: float = 0.4, amount: float = 0.333, segments: Sequence[int] = (3, 6)) -> None:
        super().__init__(p, distort=amount, stretch=0, perspective=0, segments=segments)


class Stretch(TIA):
    """The second step of `TIA` alone."""

    def __init__(self, p: float = 0.4, amount: float = 0.8, segments: Sequence[int] = (3, 6)) -> None:
        super().__init__(p, distort=0, stretch=amount, perspective=0, segments=segments)


class Perspective(TIA):
    """The third step of `TIA` alone."""

    def __init__(self, p: float = 0.4, amount: float = 0.3) -> None:
        super().__init__(p, distort=0, stretch=0, perspective=amount)
