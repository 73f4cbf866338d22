"""Vertical lines of Chinese, Japanese and Korean: from the top down, one character below the other.

The rules are those of print (UAX 50, JLREQ): wide characters stand upright, Latin words and long numbers lie on their
side, turned clockwise, numbers of one or two digits stand upright, and punctuation has the font's vertical forms.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ocrexp.data.synth.fonts import load_font
from ocrexp.data.synth.shaping import has_raqm, needs_shaping
from ocrexp.data.synth.sprites import INK, Sprite, box_polygon
from ocrexp.errors import DataError

Cell = tuple[Literal["upright", "sideways", "together"], str]
_PERIODS = "、。，．"  # at the top right of their square; in horizontal text at the bottom left


def is_upright(character: str) -> bool:
    """Whether a character stands upright in a vertical line: a wide one."""
    return unicodedata.east_asian_width(character) in ("W", "F")


def suits_vertical(text: str) -> bool:
    """Whether a text may stand vertically: two characters or more, a wide one among them, none that needs shaping."""
    return len(text) > 1 and any(map(is_upright, text)) and not needs_shaping(text)


def cells(text: str) -> Iterator[Cell]:
    """The parts of a vertical line, from the top: upright characters, sideways runs, numbers of one or two digits."""
    start = 0
    while start < len(text):
        if is_upright(text[start]):
            yield "upright", text[start]
            start += 1
            continue
        end = start
        while end < len(text) and not is_upright(text[end]):
            end += 1
        for number, run in enumerate(text[start:end].split(" ")):
            if number:
                yield "upright", " "
            if run:
                yield "together" if len(run) <= 2 and run.isdecimal() else "sideways", run
        start = end


def draw_column(text: str, font_path: str, size: int, tracking: float = 0.0, stroke: int = 0) -> Sprite | None:
    """Draw a text as one vertical line.

    Args:
        text: in reading order.
        font_path: the font's file.
        size: font size (em) in pixels.
        tracking: extra gap below each part, in em.
        stroke: pixels by which the letters are made fatter on each side.

    Returns None if nothing would be seen. Raises DataError where Pillow has no raqm, which gives the vertical forms.
    """
    if not has_raqm():
        raise DataError(
            "to draw vertical lines Pillow needs raqm: pip install --upgrade Pillow, and apt-get install libfribidi0"
        )
    flat, tall = load_font(font_path, size), load_font(font_path, size, True)
    pad = stroke + 2 + size
    length = sum(math.ceil(flat.getlength(part)) if kind == "sideways" else 2 * size for kind, part in cells(text))
    image = Image.new("L", (2 * size + 2 * pad, length + len(text) * math.ceil(tracking * size) + 2 * pad))
    axis, y = image.width / 2, float(pad)
    for kind, part in cells(text):
        if part == " ":
            y += size * 0.4
        elif kind == "upright":
            _upright(image, part, flat, tall, axis, y, size, stroke)
            y += size
        elif kind == "together":
            ImageDraw.Draw(image).text((axis, y + size / 2), part, 255, flat, "mm", stroke_width=stroke)
            y += size
        else:
            y += _sideways(image, part, flat, axis, y, stroke)
        y += tracking * size
    canvas = np.asarray(image)
    left, top, width, height = cv2.boundingRect((canvas > INK).view(np.uint8))
    if not width or not height:
        return None
    mask = np.ascontiguousarray(canvas[top - 1 : top + height + 1, left - 1 : left + width + 1])
    outline = box_polygon(1, 1, 1 + width, 1 + height)
    return Sprite(mask, ((text, outline),), outline)


def _upright(
    image: Image.Image,
    character: str,
    flat: ImageFont.FreeTypeFont,
    tall: ImageFont.FreeTypeFont,
    axis: float,
    y: float,
    size: int,
    stroke: int,
) -> None:
    """One character in its square below `y`; punctuation without a vertical form is moved or turned as print has it."""
    lies = unicodedata.category(character) in ("Ps", "Pe", "Pd") or character in "ー〜～…‥：；＝"
    if (lies or character in _PERIODS) and not _has_vertical_form(character, tall):
        if lies:
            _sideways(image, character, flat, axis, y, stroke)
            return
        axis, y = axis + size * 0.55, y - size * 0.55
    # The middle of the em square is where the ideographs' is.
    ascent, descent = flat.getmetrics()
    corner = (axis - size / 2, y + size / 2 + (ascent - descent) / 2)
    if _has_vertical_form(character, tall):
        draw = ImageDraw.Draw(image)
        draw.text((axis, y), character, 255, tall, "mt", direction="ttb", stroke_width=stroke)
        return
    ImageDraw.Draw(image).text(
        (corner[0] + (size - flat.getlength(character)) / 2, corner[1]), character, 255, flat, "ls", stroke_width=stroke
    )


def _has_vertical_form(character: str, tall: ImageFont.FreeTypeFont) -> bool:
    """Whether the font has another glyph for the character in vertical lines."""
    along, down = (tall.getmask(character, direction=direction) for direction in ("ltr", "ttb"))
    return along.size != down.size or bytes(along) != bytes(down)


def _sideways(image: Image.Image, run: str, font: ImageFont.FreeTypeFont, axis: float, y: float, stroke: int) -> float:
    """A run turned clockwise, the middle of its line on the axis; returns its length."""
    ascent, descent = font.getmetrics()
    length = math.ceil(font.getlength(run))
    edge = stroke + 2 + font.size // 4
    piece = Image.new("L", (length + 2 * round(edge), ascent + descent + 2 * round(edge)))
    ImageDraw.Draw(piece).text((edge, edge + ascent), run, 255, font, "ls", stroke_width=stroke)
    turned = piece.transpose(Image.Transpose.ROTATE_270)
    middle = edge + descent + (ascent - descent) / 2 if ascent > descent else turned.width / 2
    image.paste(255, (round(axis - middle), round(y - edge)), turned)
    return length


def turned_as_crop(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An image that is at least 1.5 times as high as wide, turned counterclockwise, as PaddleOCR turns such crops."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(np.rot90(image)) if height >= 1.5 * width else image
