"""A text image seen from another side: rotation, shear, perspective. The canvas grows, so that nothing is cut off."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.augment.rec.base import ImageOp, as_range, check_share
from ocrexp.types import Image

Matrix = npt.NDArray[np.float64]

SMALLEST_SIDE = 8  # with fewer pixels a warp only blurs
# Pixels, if the image itself has no more: a long line that is turned would need many, and is resized afterwards.
_LARGEST_CANVAS = 1 << 18
_INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)


def symmetric(magnitude: float, rng: np.random.Generator) -> float:
    """A value from -magnitude to magnitude, most often near 0 (beta distribution 4, 4)."""
    return (2 * rng.beta(4, 4) - 1) * magnitude


def one_sided(magnitude: float, rng: np.random.Generator) -> float:
    """A value from 0 to magnitude, most often near 0 (beta distribution 1, 4)."""
    return rng.beta(1, 4) * magnitude


def any_interpolation(rng: np.random.Generator) -> int:
    """One of OpenCV's nearest, linear, cubic and area, drawn at random."""
    return _INTERPOLATIONS[int(rng.integers(len(_INTERPOLATIONS)))]


class Views(ImageOp):
    """One of rotation, affine change and perspective, or with `several` one to three of them in any order.

    The three come from ABINet's training (Fang et al., arXiv 2103.06495). Images with a side below 8 pixels stay as
    they are. Edges are repeated where the canvas is larger than the image.

    Args:
        p: probability.
        several: one to three changes; false: one.
        degrees: largest rotation, of the rotation and of the affine change.
        scale: range of the affine change's factor by which the image becomes smaller.
        shear: largest shear of the affine change, degrees along x and along y.
        distortion: largest move of a corner in a perspective, a share of half the image's size.

    Raises ValueError for values out of their range.
    """

    def __init__(
        self,
        p: float = 0.5,
        several: bool = False,
        degrees: float = 45,
        scale: Sequence[float] = (0.5, 2.0),
        shear: Sequence[float] = (45, 15),
        distortion: float = 0.5,
    ) -> None:
        super().__init__(p)
        check_share("degrees", degrees, 180)
        self.scale = as_range("scale", scale, 0.1)
        if len(shear) != 2 or not all(0 <= angle < 90 for angle in shear):
            raise ValueError(f"shear: expected two angles from 0 to below 90, got {list(shear)}")
        check_share("distortion", distortion, 0.9)
        self.several = several
        self.degrees = degrees
        self.shear = (float(shear[0]), float(shear[1]))
        self.distortion = distortion

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        changes = [self._rotate, self._affine, self._perspective]
        order = rng.permutation(3)[: int(rng.integers(1, 4)) if self.several else 1]
        for index in order.tolist():
            if min(image.shape[:2]) < SMALLEST_SIDE:
                break
            image = changes[index](image, rng)
        return image

    def _rotate(self, image: Image, rng: np.random.Generator) -> Image:
        return _warped(image, _turned(symmetric(self.degrees, rng)), rng)

    def _affine(self, image: Image, rng: np.random.Generator) -> Image:
        turn = _turned(symmetric(self.degrees, rng))
        along, across = (np.tan(np.radians(symmetric(angle, rng))) for angle in self.shear)
        shear = np.array([[1, along], [0, 1]]) @ np.array([[1, 0], [across, 1]])
        return _warped(image, shear @ turn / rng.uniform(*self.scale), rng)

    def _perspective(self, image: Image, rng: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float32)
        inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
        half = self.distortion / 2 * np.array([width, height])
        moves = [[one_sided(side, rng) for side in half.tolist()] for _ in corners]
        moved = (corners + inwards * moves).astype(np.float32)
        least = moved.min(axis=0)
        size = np.maximum(np.ceil(moved.max(axis=0) - least).astype(int) + 1, 1).tolist()
        matrix = cv2.getPerspectiveTransform(corners, moved - least)
        flags = any_interpolation(rng)
        return np.asarray(
            cv2.warpPerspective(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
        )


def _turned(angle: float) -> Matrix:
    """The matrix of a rotation by degrees."""
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    return np.array([[cosine, -sine], [sine, cosine]])


def _warped(image: Image, matrix: Matrix, rng: np.random.Generator) -> Image:
    """The image moved by a 2 × 2 matrix, on a canvas that holds all of it."""
    height, width = image.shape[:2]
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)])
    size = np.ptp(corners @ matrix.T, axis=0) + 1
    shrink = min(1.0, float(np.sqrt(max(_LARGEST_CANVAS, height * width) / size.prod())))
    matrix = matrix * shrink
    moved = corners @ matrix.T
    size = np.ceil(np.ptp(moved, axis=0)).astype(int) + 1
    whole = np.concatenate([matrix, -moved.min(axis=0)[:, None]], axis=1)
    flags = any_interpolation(rng)
    return np.asarray(
        cv2.warpAffine(image, whole, size.tolist(), flags=flags, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )
