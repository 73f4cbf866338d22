"""Image warps by moving least squares, composable into one resampling.

Schaefer, McPhail, Warren: Image Deformation Using Moving Least Squares (SIGGRAPH 2006), the similarity variant, as used
by Luo et al.: Learn to Augment: Joint Data Augmentation and Network Optimization for Text Recognition (CVPR 2020). A
point of the plane is a complex number, x + iy, and a similarity a multiplication and a sum: the whole fit is one
product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.types import Image

Points = npt.NDArray[np.complex128]

# The field is smooth: it is computed on a grid of that many pixels and interpolated linearly between.
_FINEST_CELL, _COARSEST_CELL = 4, 32
_CELLS_A_SIDE = 4  # of the image's shorter side, within the above
_NEAREST = 1e-6  # squared distance below which a control point decides alone


@dataclass(frozen=True, slots=True)
class ControlPoints:
    """Where points of the source image (`before`) move to (`after`), in its pixels."""

    before: Points
    after: Points

    def source_of(self, points: Points) -> Points:
        """The positions in the source image that the warp maps to these of the result."""
        difference = points[:, None] - self.after
        weights = 1 / (difference.real**2 + difference.imag**2 + _NEAREST)
        there, here = self.after, self.before
        terms = np.stack([np.ones_like(there), there, here, here * there.conj(), there * there.conj()], axis=1)
        # Real weights, complex terms: the product on pairs of reals needs half the work.
        sums = (weights @ terms.view(np.float64)).view(np.complex128)
        total, sum_there, sum_here, cross, square = sums.T
        turn = (cross - sum_here * sum_there.conj() / total) / (square - sum_there * sum_there.conj() / total)
        return np.asarray(turn * (points - sum_there / total) + sum_here / total)


def warp(image: Image, steps: Sequence[ControlPoints]) -> Image:
    """The image after all steps, the first one first, resampled once: bilinear, its edges repeated beyond them."""
    height, width = image.shape[:2]
    cell = min(max(min(height, width) // _CELLS_A_SIDE, _FINEST_CELL), _COARSEST_CELL)
    # Nodes at the centers of cells, one cell more on each side, so that every pixel lies between four of them.
    rows, columns = -(-height // cell) + 2, -(-width // cell) + 2
    y = (np.arange(rows) - 0.5) * cell - 0.5
    x = (np.arange(columns) - 0.5) * cell - 0.5
    points: Points = (x + 1j * y[:, None]).ravel()
    for step in reversed(steps):
        points = step.source_of(points)
    nodes = points.view(np.float64).reshape(rows, columns, 2).astype(np.float32)
    field = cv2.resize(nodes, (columns * cell, rows * cell), interpolation=cv2.INTER_LINEAR)
    field = field[cell : cell + height, cell : cell + width]
    # OpenCV needs half the time with a fourth channel; the pixels are the same, the conversions next to nothing.
    four = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    moved = cv2.remap(four, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_BGRA2BGR), dtype=np.uint8)
