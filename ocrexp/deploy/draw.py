"""Draws a result: the image with its boxes, and beside it the texts, each in its place."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw

from ocrexp.deploy import fonts
from ocrexp.deploy.crop import UPRIGHT_RATIO, rectangle
from ocrexp.deploy.fonts import FontFinder
from ocrexp.deploy.strips import cuts_between, folded, strip_count
from ocrexp.drawing import BAND, INK, WRONG, Color, Picture, draw_polygons
from ocrexp.types import Image, Polygon

INKS: tuple[Color, ...] = (  # after Okabe and Ito; orange marks doubtful texts, and yellow is not visible on paper
    (0, 114, 178),
    (0, 158, 115),
    (170, 70, 130),
    (86, 150, 215),
    (130, 120, 0),
)
DOUBTFUL = 0.8  # texts with a lower score are printed in orange
_LETTERS = 18  # pixels of height that a box needs so that its text is readable
_PAPER = (252, 252, 250)
_TEXT: Color = (25, 25, 30)
_LABEL = 15  # font size in the band, in pixels
_DARK = 140  # mean of the pixels under an outline, of 255; below it the outline has a white border
_LARGEST_LETTERS = 160  # font size in pixels in which texts are drawn before they are fitted into their boxes


def draw_reading(
    image: Image,
    polygons: Sequence[Polygon],
    texts: Sequence[str] | None,
    scores: Sequence[float],
    *,
    title: str = "",
    note: str | None = None,
    finder: FontFinder | None = None,
    longest: int = 1600,
    colors: Sequence[Color] | None = None,
    inks: Sequence[Color] | None = None,
) -> Picture:
    """The image with outlines on the left, the texts at their places on the right, RGB uint8.

    Args:
        image: uint8 (height, width, 3) BGR.
        polygons: (n, 2) each, in pixels of the image; quadrilaterals begin at the text's upper left.
        texts: one per polygon; None: only the left panel is drawn, with the scores.
        scores: one per polygon, 0..1.
        title: text in the band above.
        note: text after the title; None: the number of boxes.
        finder: finds the fonts.
        longest: longest side of a panel in pixels. A small image is enlarged until its texts are readable. An elongated
            image is cut between its lines into strips, which are placed side by side.
        colors: of the outlines, one per polygon; by default, neighbors have different colors.
        inks: of the texts, one a polygon; by default black, and orange where the score is below DOUBTFUL.
    """
    finder = finder or FontFinder()
    strips = strip_count(*image.shape[:2])
    scale = _scale(image, polygons, longest * strips)
    shown = np.ascontiguousarray(_resized(image, scale)[..., ::-1])
    cuts = cuts_between(shown, [np.asarray(polygon, np.float32) * scale for polygon in polygons], strips, longest)
    colors = colors or [INKS[index % len(INKS)] for index in range(len(polygons))]
    left = shown.copy()
    for polygon, color in zip(polygons, colors, strict=True):
        thin = min(cv2.minAreaRect(np.asarray(polygon, np.float32))[1]) * scale < _LETTERS + 6
        _outline(left, polygon, color, scale, thickness=1 if thin else 2)
    if texts is None:
        for polygon, color, score in zip(polygons, colors, scores, strict=True):
            _paste_score(left, np.asarray(polygon, np.float32) * scale, score, color, finder)
        return _with_band(folded([left], cuts), title, _counted(polygons, "region") if note is None else note, finder)
    right = np.full_like(shown, 0)
    right[:] = _PAPER
    doubts = inks is None
    inks = inks or [WRONG if score < DOUBTFUL else _TEXT for score in scores]
    for polygon, text, ink, color in zip(polygons, texts, inks, colors, strict=True):
        pale = tuple(int(255 - (255 - part) * 0.35) for part in color)
        placed = np.asarray(polygon, np.float32) * scale
        _print_into(right, placed, text, ink, finder)
        draw_polygons(right, [placed], (pale[0], pale[1], pale[2]), 1.0, thickness=1)
    if note is None:
        note = _counted(polygons, "text") + (f"; orange: score below {DOUBTFUL}" if doubts and WRONG in inks else "")
    return _with_band(folded([left, right], cuts), title, note, finder)


def draw_line(image: Image, text: str, score: float, *, title: str = "", finder: FontFinder | None = None) -> Picture:
    """A line crop with its text below it, RGB uint8."""
    finder = finder or FontFinder()
    scale = min(max(1.0, 48 / image.shape[0]), max(1.0, 1600 / image.shape[1]))
    scale = min(scale, 1600 / max(image.shape[:2]))
    crop = _resized(np.ascontiguousarray(image[..., ::-1]), scale)
    line = text_picture(text, 28, WRONG if score < DOUBTFUL else _TEXT, _PAPER, finder)
    width = max(crop.shape[1], line.shape[1], 160)
    parts = [_widened(crop, width, BAND), _widened(line, width, _PAPER)]
    return _with_band(np.vstack(parts), title, f"{score:.2f}", finder)


def text_picture(text: str, size: int, ink: Color, paper: Color, finder: FontFinder) -> Picture:
    """One line of text, RGB uint8, as wide as it needs and `size` × 1.36 high."""
    pieces = [(fonts.load(path, size), piece) for path, piece in finder.runs(text)]
    backwards = _right_to_left(text)
    if backwards:
        pieces.reverse()
    # Each piece has the direction of the whole text; without raqm, Pillow does not support directions.
    direction = ("rtl" if backwards else "ltr") if fonts.has_raqm() else None
    lengths = [font.getlength(piece, direction=direction) for font, piece in pieces]
    pad = max(1, size // 10)
    canvas = PillowImage.new("RGB", (int(np.ceil(sum(lengths))) + 2 * pad, round(size * 1.36)), paper)
    pen = ImageDraw.Draw(canvas)
    x = float(pad)
    for (font, piece), length in zip(pieces, lengths, strict=True):
        pen.text((x, round(size * 1.02)), piece, fill=ink, font=font, anchor="ls", direction=direction)
        x += length
    return np.array(canvas, dtype=np.uint8)


def _scale(image: Image, polygons: Sequence[Polygon], longest: int) -> float:
    """The factor that makes the letters of the median box readable, limited by `longest`."""
    wanted = 1.0
    if len(polygons):
        sides = [min(cv2.minAreaRect(np.asarray(polygon, np.float32))[1]) for polygon in polygons]
        wanted = float(np.clip(_LETTERS / max(float(np.median(sides)), 1.0), 1.0, 3.0))
    return min(wanted, longest / max(image.shape[:2]))


def _outline(panel: Picture, polygon: Polygon, color: Color, scale: float, thickness: int) -> None:
    """An outline, in place, with a white border where the image is dark: the colors are made for paper."""
    points = np.round(np.asarray(polygon) * scale).astype(np.int32)
    low = np.clip(points.min(axis=0), 0, [panel.shape[1] - 1, panel.shape[0] - 1])
    high = np.clip(points.max(axis=0), 0, [panel.shape[1] - 1, panel.shape[0] - 1])
    window = panel[low[1] : high[1] + 1, low[0] : high[0] + 1]
    under = np.zeros(window.shape[:2], np.uint8)
    cv2.polylines(under, [points - low.astype(np.int32)], True, 1, 3)
    if under.any() and window[under > 0].mean() < _DARK:
        draw_polygons(panel, [polygon], (255, 255, 255), scale, 2 * thickness + 1)
    draw_polygons(panel, [polygon], color, scale, thickness)


def _resized(picture: Picture, scale: float) -> Picture:
    if scale == 1.0:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), dtype=np.uint8)


def _print_into(panel: Picture, polygon: Polygon, text: str, ink: Color, finder: FontFinder) -> None:
    """Prints a text into its box, in place; a text that is too long is shrunk, a short one is not stretched."""
    if not text:
        return
    corners = _corners(polygon)
    width = float(max(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[3])))
    height = float(max(np.linalg.norm(corners[3] - corners[0]), np.linalg.norm(corners[2] - corners[1])))
    if min(width, height) < 1:
        return
    stacked = False
    if height >= UPRIGHT_RATIO * width:
        stacked = len(text) == 1 or (_is_ideographic(text) and len(text) > 1)
        if not stacked:  # the recognizer got it rotated: its line runs down, or up
            corners = corners[[1, 2, 3, 0]]
            width, height = height, width
    if stacked:
        size = int(np.clip(min(width, height / len(text)) / 1.36, 8, _LARGEST_LETTERS))
        rows = [text_picture(character, size, ink, _PAPER, finder) for character in text]
        across = max(row.shape[1] for row in rows)
        line = np.vstack([_centered(row, across) for row in rows])
        share = min(width / line.shape[1], height / line.shape[0])
        used_width, used_height = line.shape[1] * share, line.shape[0] * share
    else:
        size = int(np.clip(height / 1.36, 8, _LARGEST_LETTERS))
        line = text_picture(text, size, ink, _PAPER, finder)
        used_height = height
        used_width = min(width, line.shape[1] * height / line.shape[0])
    along = (corners[1] - corners[0]) / width
    down = (corners[3] - corners[0]) / height
    start = corners[0] + (along * (width - used_width) if _right_to_left(text) else 0)
    target = np.stack([start, start + along * used_width, start + down * used_height]).astype(np.float32)
    _paste(panel, line, target)


def _paste(panel: Picture, line: Picture, target: npt.NDArray[np.float32]) -> None:
    """Pastes a picture into the parallelogram given by upper left, upper right and lower left corner, in place."""
    fourth = target[1] + target[2] - target[0]
    outline = np.vstack([target, fourth])
    low = np.maximum(np.floor(outline.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(outline.max(axis=0)) + 1, [panel.shape[1], panel.shape[0]]).astype(int)
    if (high <= low).any():
        return
    height, width = line.shape[:2]
    # Shrinking with an affine warp alone would skip pixels.
    shrink = min(1.0, float(np.linalg.norm(target[1] - target[0])) / width)
    drop = min(1.0, float(np.linalg.norm(target[2] - target[0])) / height)
    if shrink < 1 or drop < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * drop)))
        line = np.asarray(cv2.resize(line, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        height, width = line.shape[:2]
    source = np.array([[0, 0], [width, 0], [0, height]], np.float32)
    matrix = cv2.getAffineTransform(source, (target - low).astype(np.float32))
    extent = (int(high[0] - low[0]), int(high[1] - low[1]))
    window = panel[low[1] : high[1], low[0] : high[0]]
    warped = cv2.warpAffine(line, matrix, extent, flags=cv2.INTER_LINEAR, borderValue=_PAPER)
    np.minimum(window, warped, out=window)  # the darker pixel wins: overlapping boxes keep both texts


def _corners(polygon: Polygon) -> npt.NDArray[np.float32]:
    """Four corners, clockwise from the upper left: the quadrilateral itself, or the smallest box around a polygon."""
    return np.asarray(polygon if len(polygon) == 4 else rectangle(polygon), dtype=np.float32)


def _is_ideographic(text: str) -> bool:
    """Whether a text is written in letters that stand upright in a column."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return wide * 2 > len(text)


def _right_to_left(text: str) -> bool:
    first = next((kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), "L")
    return first != "L"


def _paste_score(panel: Picture, polygon: Polygon, score: float, color: Color, finder: FontFinder) -> None:
    plate = text_picture(f"{score:.2f}", 11, (255, 255, 255), color, finder)
    left, top = polygon.min(axis=0)
    height, width = (min(plate.shape[0], panel.shape[0]), min(plate.shape[1], panel.shape[1]))
    x = int(np.clip(left, 0, panel.shape[1] - width))
    y = int(np.clip(top - height, 0, panel.shape[0] - height))
    panel[y : y + height, x : x + width] = plate[:height, :width]


def _with_band(picture: Picture, title: str, note: str, finder: FontFinder) -> Picture:
    parts = [text_picture(text, _LABEL, INK, BAND, finder) for text in (title, note) if text]
    band = np.hstack([_widened(part, part.shape[1] + _LABEL, BAND) for part in parts])
    if band.shape[1] > picture.shape[1] >= 160:
        size = (picture.shape[1], band.shape[0])
        band = np.asarray(cv2.resize(band, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    width = max(band.shape[1], picture.shape[1])
    return np.vstack([_widened(band, width, BAND), _widened(picture, width, BAND)])


def _counted(polygons: Sequence[Polygon], noun: str) -> str:
    return f"{len(polygons)} {noun}{'' if len(polygons) == 1 else 's'}"


def _widened(picture: Picture, width: int, color: Color) -> Picture:
    fill = np.full((picture.shape[0], width - picture.shape[1], 3), color, dtype=np.uint8)
    return np.hstack([picture, fill])


def _centered(picture: Picture, width: int) -> Picture:
    left = (width - picture.shape[1]) // 2
    padded = _widened(picture, width - left, _PAPER)
    return np.hstack([np.full((picture.shape[0], left, 3), _PAPER, dtype=np.uint8), padded])
