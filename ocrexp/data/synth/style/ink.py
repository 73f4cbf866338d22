"""Ink and paper of a text image: what is print, what is paper, and the paper without the print."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.pen import luminance
from ocrexp.data.synth.style.looks import Plane
from ocrexp.types import Image

_LEAST_CONTRAST = 25.0  # gray levels: with less, print and noise are one
_EDGE_SHARE = 0.35  # of the image's height: ink at the upper or lower edge that is lower than this is another line's


@dataclass(frozen=True, slots=True)
class Separated:
    """A text image taken apart.

    Attributes:
        gray: its luminance, (height, width) float32.
        share: the ink's share of each pixel, 0..1.
        box: left, top, right, bottom of the print.
        ink: BGR color of the ink.
        paper: BGR color of the paper.
        ground: the image without the print, (height, width, 3) uint8; parts of other lines at its edges stay.
        bare: where the paper was never covered, (height, width).
        filled: where the ground is made up, because it was under the print.
    """

    gray: Plane
    share: Plane
    box: tuple[int, int, int, int]
    ink: npt.NDArray[np.float64]
    paper: npt.NDArray[np.float64]
    ground: Image
    bare: npt.NDArray[np.bool_]
    filled: npt.NDArray[np.bool_]


def separate(image: Image) -> Separated | str:
    """Take a text image apart; the reason where that fails."""
    height, width = image.shape[:2]
    if height < 8 or width < 4:
        return "is smaller than 4×8 pixels"
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    _, low = cv2.threshold(luma, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    rim = np.concatenate([low[0], low[-1], low[:, 0], low[:, -1]]).mean() / 255
    dark_paper = rim > 0.6 or (rim > 0.4 and low.mean() > 127)
    marked = cv2.bitwise_not(low) if dark_paper else low
    own, others = _own_ink(marked)
    if not own.any():
        return "shows no print"
    near = cv2.dilate(own, np.ones((5, 5), np.uint8)) > 0
    bare = ~near & (cv2.dilate(others, np.ones((5, 5), np.uint8)) == 0)
    paper = np.median(image[bare if bare.sum() >= 12 else ~(own > 0)], axis=0).astype(np.float64)
    inked = image[own > 0].astype(np.float64)
    away = np.abs(inked - paper).sum(axis=1)
    ink = inked[away >= np.quantile(away, 0.85)].mean(axis=0)
    if abs(luminance(paper - ink)) < _LEAST_CONTRAST:
        return f"has a contrast below {_LEAST_CONTRAST:.0f} gray levels"
    gap = (paper - ink).astype(np.float32)
    share = ((paper.astype(np.float32) - image.astype(np.float32)) @ gap) / np.float32(gap @ gap)
    share = np.clip(share, 0, 1).astype(np.float32)
    share[cv2.dilate(others, np.ones((3, 3), np.uint8)) > 0] = 0
    left, top, columns, rows = cv2.boundingRect(own)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    hole = cv2.dilate(own, around)
    # Parts of other lines stay where they are apart: the filling would smear what touches it.
    hole |= cv2.dilate(others, around) if cv2.dilate(others, around)[hole > 0].any() else np.uint8(0)
    ground = cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)
    box = (left, top, left + columns, top + rows)
    return Separated(luma.astype(np.float32), share, box, ink, paper, ground, bare, hole > 0)


def _own_ink(marked: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The print itself, and what other lines leave at the upper and lower edge; specks are in neither."""
    height = marked.shape[0]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    table = stats[1:count]
    top, rows, area = table[:, cv2.CC_STAT_TOP], table[:, cv2.CC_STAT_HEIGHT], table[:, cv2.CC_STAT_AREA]
    at_edge = (top == 0) | (top + rows == height)
    foreign = at_edge & (rows < _EDGE_SHARE * height)
    speck = area < max(3, 0.004 * height * height)
    kinds = np.zeros(count, np.uint8)
    kinds[1:] = np.where(foreign, 2, np.where(speck, 3, 1))
    if count > 1 and not (kinds == 1).any():  # a dash or a dot at the edge is print, where there is no other
        kinds[1:] = np.where(speck, 3, 1)
    of_pixel = kinds[labels]
    return (of_pixel == 1).astype(np.uint8), (of_pixel == 2).astype(np.uint8)


def noise_of(parts: Separated) -> tuple[float, tuple[float, float]]:
    """Standard deviation of the noise on the bare paper, and its correlation with the next pixel right and below."""
    bare = parts.bare
    if bare.sum() < 24:
        return 0.0, (0.0, 0.0)
    weight = bare.astype(np.float32)
    smooth = cv2.blur(parts.gray * weight, (9, 9)) / np.maximum(cv2.blur(weight, (9, 9)), 1e-3)
    rest = np.where(bare, parts.gray - smooth, 0).astype(np.float32)
    # From the median, so that specks, which are a part of the ground, do not count.
    deviation = 1.4826 * float(np.median(np.abs(rest[bare])))
    if deviation < 0.3:
        return deviation, (0.0, 0.0)
    along = _correlation(rest[:, :-1], rest[:, 1:], bare[:, :-1] & bare[:, 1:])
    down = _correlation(rest[:-1], rest[1:], bare[:-1] & bare[1:])
    return deviation, (along, down)


def _correlation(a: Plane, b: Plane, where: npt.NDArray[np.bool_]) -> float:
    if where.sum() < 12:
        return 0.0
    x, y = a[where], b[where]
    scale = float(np.sqrt((x * x).mean() * (y * y).mean()))
    return float(np.clip((x * y).mean() / scale, 0, 0.95)) if scale > 0 else 0.0


def stroke_width(parts: Separated) -> float:
    """Mean width of the strokes in pixels: the ink's area by half of its outline's length."""
    left, top, right, bottom = parts.box
    part = np.ascontiguousarray(parts.share[top:bottom, left:right])
    area = float(part.sum())
    big = cv2.copyMakeBorder(part, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    lines, _ = cv2.findContours((big > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    outline = sum(cv2.arcLength(line, True) for line in lines)
    return 2 * area / outline if outline > 0 else 1.0
