"""Texts along outlines that others have labeled: curved words as in Total-Text, CTW1500 or ArT."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.labels import read_label_file
from ocrexp.data.source import counted
from ocrexp.data.synth.fonts import text_width
from ocrexp.data.synth.pen import Pen
from ocrexp.data.synth.sprites import Sprite, shift
from ocrexp.types import Polygon

_STRIPS = 24  # straight pieces into which a line is cut
_MARGIN = 0.04  # of the height, that the ink keeps away from its outline
_MOST_STRETCH = 1.8
_TRIES = 16

Points = npt.NDArray[np.float64]


def read_outlines(path: Path) -> tuple[list[list[Polygon]], list[str]]:
    """The outlines of a detection list by image, and a line for each kind of thing that is not used.

    The points have to be in the usual order: along the top of the text, then back along its bottom. Raises ValueError
    for a list without usable outlines.
    """
    if not path.is_file():
        raise ValueError(f"outlines={path}: file not found; give a detection list in PaddleOCR's format")
    file = read_label_file(path)
    found, dropped = [], 0
    for index in file.kept.tolist():
        line = file.line(index)
        usable = [
            polygon
            for polygon, ignored in zip(line.polygons, line.ignored, strict=True)
            if not ignored and len(polygon) % 2 == 0
        ]
        dropped += len(line.polygons) - len(usable)
        if usable:
            found.append(usable)
    if not found:
        raise ValueError(f"outlines={path}: has no polygon with an even number of points; give another detection list")
    report = counted(
        f"outlines: {file.bad} bad label line(s) skipped", [str(one) for one in file.problems if one.fatal], file.bad
    )
    if dropped:
        report.append(f"outlines: {dropped} polygon(s) not used: ignored, or with an odd number of points")
    return found, report


def traced(pen: Pen) -> None:
    """Words along the outlines of one labeled image, which are moved and scaled together to the page's size."""
    canvas, rng = pen.canvas, pen.rng
    outlines = pen.outlines[int(rng.integers(len(pen.outlines)))]
    height, width = canvas.image.shape[:2]
    corners = np.concatenate(outlines)
    low, high = corners.min(axis=0), corners.max(axis=0)
    extent = np.maximum(high - low, 1)
    scale = float(min(0.96 * width / extent[0], 0.96 * height / extent[1])) * float(rng.uniform(0.75, 1.0))
    place = np.array([0.02 * width, 0.02 * height]) + rng.random(2) * (
        np.array([0.96 * width, 0.96 * height]) - extent * scale
    )
    font = pen.fonts.pick(rng)
    for outline in outlines:
        if canvas.full:
            return
        if rng.random() < 0.3:
            font = pen.fonts.pick(rng)
        _word_along(pen, (outline - low).astype(np.float64) * scale + place, font)


def _word_along(pen: Pen, outline: Points, font: str) -> None:
    canvas, rng = pen.canvas, pen.rng
    upper, lower = sides(outline)
    tall = float(np.linalg.norm(upper - lower, axis=1).mean())
    long = (_length(upper) + _length(lower)) / 2
    if tall < canvas.settings.font_size[0] * 0.7 or not canvas.free(outline):
        return
    size = int(np.clip(round(tall * 1.35), 10, 160))
    text, odd = "", math.inf
    for _ in range(_TRIES):
        token = pen.texts.token(rng)
        miss = abs(math.log(max(text_width(font, size, token), 1) / (0.75 * size) / (long / tall)))
        if miss < odd:
            text, odd = token, miss
    sprite = pen.line([text], font, size) if odd < math.log(_MOST_STRETCH) else None
    laid = None if sprite is None else along(sprite, upper, lower)
    if sprite is None or laid is None:
        return
    mask, corner = laid
    level, unrest = canvas.around(outline)
    tone = canvas.ink(level, least=float(rng.uniform(60, 110)) + min(unrest, 40.0))
    canvas.blend(mask, shift(*corner), tone)
    canvas.label(sprite.text, outline)


def sides(outline: Points) -> tuple[Points, Points]:
    """The upper and the lower side of an outline from the start of the text to its end, each of _STRIPS + 1 points."""
    half = len(outline) // 2
    return _even(outline[:half]), _even(outline[half:][::-1])


def _even(line: Points) -> Points:
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, steps[-1], _STRIPS + 1)
    return np.stack([np.interp(at, steps, line[:, axis]) for axis in (0, 1)], axis=1)


def _length(line: Points) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def along(sprite: Sprite, upper: Points, lower: Points) -> tuple[npt.NDArray[np.uint8], tuple[int, int]] | None:
    """A straight line of text between two curves.

    Args:
        sprite: the line.
        upper, lower: points of the curves, as many of each, from the start of the text to its end.

    Returns its ink, (height, width) uint8, and the left upper corner of that; None if the curves cross, so that the
    text would be folded.
    """
    top, bottom = upper + (lower - upper) * _MARGIN, lower + (upper - lower) * _MARGIN
    low = np.floor(np.minimum(top.min(axis=0), bottom.min(axis=0))).astype(int) - 1
    high = np.ceil(np.maximum(top.max(axis=0), bottom.max(axis=0))).astype(int) + 2
    columns, rows = (high - low).tolist()
    (left, above), (right, below) = sprite.outline[0].tolist(), sprite.outline[2].tolist()
    xs = np.linspace(left, right, len(top))
    map_x, map_y = np.full((rows, columns), -9, np.float32), np.full((rows, columns), -9, np.float32)
    piece = np.zeros((rows, columns), np.uint8)
    for i in range(len(top) - 1):
        quad = np.array([top[i], top[i + 1], bottom[i + 1], bottom[i]]) - low
        if not _is_convex(quad):
            return None
        flat = np.array([[xs[i], above], [xs[i + 1], above], [xs[i + 1], below], [xs[i], below]])
        back = cv2.getPerspectiveTransform(quad.astype(np.float32), flat.astype(np.float32))
        piece[:] = 0
        cv2.fillConvexPoly(piece, np.round((quad - 0.5) * 16).astype(np.int32), 1, cv2.LINE_8, 4)
        ys, at = np.nonzero(piece)
        source = back @ np.stack([at + 0.5, ys + 0.5, np.ones(len(at))])
        map_x[ys, at], map_y[ys, at] = source[0] / source[2] - 0.5, source[1] / source[2] - 0.5
    mask = cv2.remap(sprite.mask, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return mask, (int(low[0]), int(low[1]))


def _is_convex(quad: Points) -> bool:
    """Whether four points are the corners of a convex outline, clockwise on the screen."""
    edges = np.roll(quad, -1, axis=0) - quad
    after = np.roll(edges, -1, axis=0)
    return bool((edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0] > 0).all())
