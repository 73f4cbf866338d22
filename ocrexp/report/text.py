"""Text in any script on pictures: each character in a font that has it, by Pillow (OpenCV draws ASCII only)."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrexp.data.synth.fonts import FontSet, bundled_fonts, can_draw
from ocrexp.data.synth.shaping import has_raqm
from ocrexp.drawing import BAND, Color, Picture

Runs = Sequence[tuple[str, Color]]  # pieces of a line, each in its color

_PAD = 3  # pixels above, below and at the ends of a line


def line_picture(runs: Runs, size: int = 16, width: int | None = None, background: Color = BAND) -> Picture:
    """One line of text, RGB uint8; all lines of one size are equally high.

    Args:
        runs: pieces of the line in their order and colors. Scripts that join or reorder their letters are best given
            in one piece.
        size: of the font, in pixels.
        width: of the picture; a longer text is shrunk to half its width at most, then cut. None: as wide as needed.
        background: color behind it.

    A character that is invisible, or that no font of matplotlib or the system has, is written as its code point U+XXXX.
    """
    pieces = [piece for text, color in runs for piece in _pieces(text, color)]
    placed = []
    x = float(_PAD)
    for path, text, color in pieces:
        font = _font(path, size)
        placed.append((x, text, color, font))
        x += font.getlength(text)
    natural = int(np.ceil(x)) + _PAD
    height = size + size // 2 + 2 * _PAD
    canvas = Image.new("RGB", (max(natural, 1), height), background)
    pen = ImageDraw.Draw(canvas)
    for left, text, color, font in placed:
        pen.text((left, _PAD + size), text, fill=color, font=font, anchor="ls")
    if width is not None and natural > width:
        canvas = canvas.resize((max(width, natural // 2), height), Image.Resampling.LANCZOS)
    picture = np.asarray(canvas, dtype=np.uint8)
    if width is None:
        return picture.copy()
    result = np.full((height, width, 3), background, dtype=np.uint8)
    shown = min(width, picture.shape[1])
    result[:, :shown] = picture[:, :shown]
    return result


def joins(text: str) -> bool:
    """Whether the letters of a text join, stack or run from right to left, so that it is drawn in one piece only."""
    return any(
        unicodedata.bidirectional(character) in ("R", "AL") or unicodedata.category(character) in ("Mn", "Mc")
        for character in text
    )


def visible(character: str) -> str:
    """A character as a reader can see it: ␣ for the space, U+XXXX for what shows nothing, ∅ for none at all."""
    if not character:
        return "∅"
    if character == " ":
        return "␣"
    return "".join(_readable(point) for point in character)


def _readable(point: str) -> str:
    if unicodedata.category(point)[0] in "CZ" and point != " ":
        return f"U+{ord(point):04X}"
    return f"◌{point}" if unicodedata.combining(point) else point


def _pieces(text: str, color: Color) -> list[tuple[str, str, Color]]:
    """(font, text, color) of a piece: as few fonts as possible, in the order of the text."""
    shown = "".join(_shown(point) for point in text)
    if path := _font_for(shown):
        return [(path, shown, color)]
    pieces: list[tuple[str, str, Color]] = []
    for point in shown:
        path = _font_for(point)
        if path is None:
            path, point = _fonts()[0], f"U+{ord(point):04X}"
        if pieces and pieces[-1][0] == path:
            pieces[-1] = (path, pieces[-1][1] + point, color)
        else:
            pieces.append((path, point, color))
    return pieces


def _shown(point: str) -> str:
    # Joiners and direction marks (Cf) control how letters are drawn.
    return f"U+{ord(point):04X}" if unicodedata.category(point) in ("Cc", "Cn", "Co", "Cs") else point


@functools.lru_cache(maxsize=4096)
def _font_for(text: str) -> str | None:
    drawn = [point for point in text if unicodedata.category(point) != "Cf"]
    for path in _fonts():
        if can_draw(path, drawn):
            return path
    for path in _system_fonts():
        if can_draw(path, drawn):
            return path
    return None


@functools.lru_cache(maxsize=1)
def _fonts() -> list[str]:
    return [str(path) for path in bundled_fonts() if path.name.startswith("DejaVuSans")]


@functools.lru_cache(maxsize=1)
def _system_fonts() -> list[str]:
    return FontSet(system=True).paths


@functools.lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    layout = ImageFont.Layout.RAQM if has_raqm() else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, layout_engine=layout)
