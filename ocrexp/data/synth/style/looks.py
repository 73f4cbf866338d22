"""The look of a real text image as numbers, and what they are measured on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.pen import luminance
from ocrexp.types import Image

Plane = npt.NDArray[np.float32]  # (height, width)

CASES = ("as_is", "upper", "title", "lower")


@dataclass(frozen=True, slots=True)
class Edges:
    """How sharp strokes are: the standard deviation of a blur in pixels, or a gain of the contrast at their edges."""

    blur: float
    gain: float

    def of(self, share: Plane) -> Plane:
        """The ink's share of each pixel with such edges."""
        if self.blur > 0.15:
            return cv2.GaussianBlur(share, (0, 0), self.blur)
        return np.clip((share - 0.5) * np.float32(self.gain) + 0.5, 0, 1) if self.gain != 1 else share


@dataclass(frozen=True, slots=True)
class Look:
    """The look of one real text image. Lengths are in its pixels.

    Attributes:
        font: file of the font that is nearest to the print.
        cases: how the print writes the letters of each word of its label, of CASES.
        em: font size.
        stretch: factor of the widths.
        slant: shear, share of the height; above 0 leans to the right.
        angle: turn of the line in degrees, clockwise.
        weight: by how much the strokes are thicker (below 0: thinner) than the font's, on each side.
        edges: how sharp the strokes' edges are.
        stroke: width of the strokes.
        ink: BGR color of the ink.
        paper: BGR color of the paper.
        unevenness: standard deviation of the ink's share of a pixel inside of strokes.
        noise: standard deviation of the paper's noise in gray levels.
        grain: correlation of the noise with that of the next pixel to the right and below.
        margins: left, top, right, bottom: from the ink to the edges of the image.
        quality: JPEG quality of the file; 95 where it is no JPEG file.
        fit: correlation of the print with the same text drawn in this look, -1..1.
        ground: the image without its text, (height, width, 3) uint8.
        filled: where the ground was under the text, (height, width).
    """

    font: str
    cases: tuple[str, ...]
    em: float
    stretch: float
    slant: float
    angle: float
    weight: float
    edges: Edges
    stroke: float
    ink: tuple[float, float, float]
    paper: tuple[float, float, float]
    unevenness: float
    noise: float
    grain: tuple[float, float]
    margins: tuple[float, float, float, float]
    quality: int
    fit: float
    ground: Image
    filled: npt.NDArray[np.bool_]

    @property
    def contrast(self) -> float:
        """How much brighter the paper is than the ink, in gray levels; below 0 for light ink."""
        return luminance(np.array(self.paper) - np.array(self.ink))


def leaning(slant: float, angle: float, stretch: float = 1.0, scale: float = 1.0) -> npt.NDArray[np.float64]:
    """The 2×2 matrix of a stretch, a slant and a turn, after a change of scale."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, -slant], [0.0, 1.0]])


def transform_ink(mask: npt.NDArray[np.uint8], slant: float, angle: float) -> npt.NDArray[np.uint8]:
    """A mask slanted and turned, with all of its ink; same resolution."""
    height, width = mask.shape
    matrix = leaning(slant, angle)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) @ matrix.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    columns, rows = np.ceil(high - low).astype(int).tolist()
    moved = np.hstack([matrix, (1 - low)[:, None]])
    return cv2.warpAffine(mask, moved, (columns + 2, rows + 2), flags=cv2.INTER_LINEAR)


def fatten(mask: npt.NDArray[np.uint8], pixels: int) -> npt.NDArray[np.uint8]:
    """A mask with its strokes thicker by some pixels on each side, or thinner below 0; same size."""
    if pixels == 0:
        return mask
    side = 2 * abs(pixels) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(mask, kernel) if pixels > 0 else cv2.erode(mask, kernel)


def soften(mask: npt.NDArray[np.uint8], size: tuple[int, int], edges: Edges) -> Plane:
    """A mask of higher resolution as the ink's share of each pixel, 0..1, of (width, height), with such edges."""
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= np.float32(1 / 255)
    return edges.of(small)
