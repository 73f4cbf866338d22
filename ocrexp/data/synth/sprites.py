"""Text as sprites: the ink of a line as a mask, with the outline of each of its words; straight or along a curve.

Outlines are in pixel-edge coordinates of the mask: a word that inks columns 3..7 spans x from 3 to 8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ocrexp.data.synth.fonts import load_font, text_width
from ocrexp.data.synth.shaping import Piece, needs_shaping, pieces_of, require_raqm
from ocrexp.types import Polygon

INK = 90  # of 255: where antialiased ink begins to be seen; outlines enclose what is above it


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn line: `mask` (height, width) uint8, 255 = full ink; `words` in logical order with their outlines,
    clockwise from the top left; `outline` of the whole line."""

    mask: npt.NDArray[np.uint8]
    words: tuple[tuple[str, Polygon], ...]
    outline: Polygon

    @property
    def text(self) -> str:
        return " ".join(word for word, _ in self.words)


def box_polygon(left: float, top: float, right: float, bottom: float) -> Polygon:
    """The four corners of a box, clockwise from the top left."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def draw_line(
    words: Sequence[str], font_path: str, size: int, space: float = 0.33, tracking: float = 0.0, stroke: int = 0
) -> Sprite | None:
    """Draw words side by side on one baseline.

    Args:
        words: texts without spaces, in logical order. Where letters join, stack or run from right to left, they are
            shaped and ordered, and have no extra gaps between them; a right-to-left line that cannot be drawn word by
            word is one word of the result.
        font_path: the font's file.
        size: font size (em) in pixels.
        space: gap between two words, in em.
        tracking: extra gap between the letters, in em.
        stroke: pixels by which the letters are made fatter on each side.

    Returns None if nothing would be seen. Raises DataError if shaping is needed and Pillow cannot do it.
    """
    pieces = pieces_of(words)
    shaped = any(needs_shaping(word) for word in words)
    if shaped:
        require_raqm("".join(words))
        tracking = 0.0
    font = load_font(font_path, size, shaped)
    pad = stroke + 2 + size // 4  # oblique letters lean out of their advance
    gap = max(2, round(space * size)) + 2 * stroke
    letter_gap = tracking * size
    widths = [
        math.ceil(font.getlength(piece.drawn))
        if shaped
        else math.ceil(text_width(font_path, size, piece.text) + letter_gap * (len(piece.text) - 1))
        for piece in pieces
    ]
    ascent, descent = font.getmetrics()
    image = Image.new("L", (sum(widths) + (len(pieces) - 1) * gap + 2 * pad, ascent + descent + 2 * pad))
    draw = ImageDraw.Draw(image)
    starts = []
    at = pad
    for piece, width in zip(pieces, widths, strict=True):
        starts.append(at)
        x = float(at)
        for part in piece.drawn if letter_gap else (piece.drawn,):
            draw.text((round(x), pad + ascent), part, fill=255, font=font, anchor="ls", stroke_width=stroke)
            x += font.getlength(part) + letter_gap if letter_gap else 0
        at += width + gap
    canvas = np.asarray(image)
    seen = (canvas > INK).view(np.uint8)
    boxes: list[tuple[Piece, tuple[int, int, int, int]]] = []  # from left to right
    ends = [0, *(start - gap // 2 for start in starts[1:]), canvas.shape[1]]
    for number, piece in enumerate(pieces):
        left, top, width, height = cv2.boundingRect(seen[:, ends[number] : ends[number + 1]])
        if width and height:
            left += ends[number]
            boxes.append((piece, (left, top, left + width, top + height)))
    if not boxes:
        return None
    # One pixel around the ink keeps the faint edge of the antialiasing.
    left, top = boxes[0][1][0], min(box[1] for _, box in boxes)
    right, bottom = boxes[-1][1][2], max(box[3] for _, box in boxes)
    mask = np.ascontiguousarray(canvas[top - 1 : bottom + 1, left - 1 : right + 1])
    x, y = left - 1, top - 1
    shifted = tuple(
        (piece.text, box_polygon(x0 - x, y0 - y, x1 - x, y1 - y))
        for piece, (x0, y0, x1, y1) in sorted(boxes, key=lambda each: each[0].number)
    )
    return Sprite(mask, shifted, box_polygon(left - x, top - y, right - x, bottom - y))


def bend(sprite: Sprite, angle: float, points: int) -> Sprite:
    """Lay a straight line on a circle's arc.

    Args:
        sprite: a line from `draw_line`.
        angle: how far the arc turns from the line's start to its end, in radians; positive bends the middle up.
        points: points of each word's outline, even, half of them along the top and half along the bottom.

    Lengths along the middle of the line stay as they are.
    """
    height, width = sprite.mask.shape
    radius = width / abs(angle)
    sign = 1.0 if angle > 0 else -1.0

    def forward(flat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        turn = (flat[:, 0] - width / 2) / radius
        away = radius - sign * (flat[:, 1] - height / 2)
        return np.stack([away * np.sin(turn), sign * (radius - away * np.cos(turn))], axis=1)

    def along(box: Polygon, count: int) -> npt.NDArray[np.float64]:
        (left, top), (right, bottom) = box[0], box[2]
        xs = np.linspace(left, right, count)
        upper = np.stack([xs, np.full(count, top)], axis=1)
        lower = np.stack([xs[::-1], np.full(count, bottom)], axis=1)
        return forward(np.concatenate([upper, lower]))

    edge = along(box_polygon(0, 0, width, height), 33)
    low, high = np.floor(edge.min(axis=0)) - 1, np.ceil(edge.max(axis=0)) + 1
    columns, rows = (int(v) for v in high - low)
    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float32)
    xs += np.float32(low[0] + 0.5)
    ys = np.float32(radius) - np.float32(sign) * (ys + np.float32(low[1] + 0.5))  # from the center, towards the arc
    flat_x = np.arctan2(xs, ys) * np.float32(radius) + np.float32(width / 2 - 0.5)
    flat_y = np.float32(sign) * (np.float32(radius) - np.hypot(xs, ys)) + np.float32(height / 2 - 0.5)
    mask = cv2.remap(sprite.mask, flat_x, flat_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    half = max(2, points // 2)
    words = tuple((text, (along(box, half) - low).astype(np.float32)) for text, box in sprite.words)
    # The sides of a chord polygon cut the arc, so a whole line has as many points as its turn needs.
    outline = (along(sprite.outline, max(half, 7)) - low).astype(np.float32)
    return Sprite(mask, words, outline)


def through(points: npt.NDArray[np.floating], matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Points (n, 2) through a 3×3 homography."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped[:, :2] / mapped[:, 2:]


def shift(x: float, y: float) -> npt.NDArray[np.float64]:
    """The 3×3 matrix of a translation."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def rotation(degrees: float) -> npt.NDArray[np.float64]:
    """The 3×3 matrix of a turn about the origin; positive turns clockwise on the screen."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float64)
