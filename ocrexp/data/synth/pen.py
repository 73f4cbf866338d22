"""What layouts draw with, and the steps that several of them share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.backgrounds import color
from ocrexp.data.synth.canvas import Canvas, Matrix, grow
from ocrexp.data.synth.fonts import FontSet, text_width
from ocrexp.data.synth.sprites import Sprite, bend, box_polygon, draw_line, rotation, shift, through
from ocrexp.data.synth.words import PageWords
from ocrexp.types import Polygon


@dataclass(frozen=True, slots=True)
class Pen:
    """What layouts draw with: a canvas, texts and fonts; `outlines` of images for the layout `traced`."""

    canvas: Canvas
    texts: PageWords
    fonts: FontSet
    outlines: Sequence[Sequence[Polygon]] = ()

    @property
    def rng(self) -> np.random.Generator:
        return self.canvas.rng

    def size(self, low: float = 0.0, high: float = 1.0) -> int:
        """A font size between two shares of the allowed range, small ones more often (even in the logarithm)."""
        least, most = (math.log(v) for v in self.canvas.settings.font_size)
        return round(math.exp(least + (most - least) * self.rng.uniform(low, high)))

    def line(self, words: list[str], font: str, size: int, **style: float) -> Sprite | None:
        """Draw words with a font, or with another one where that lacks a character."""
        able = self.fonts.for_text(font, "".join(words), self.rng)
        if able is None:
            return None
        stroke = int(style.pop("stroke", 0))
        return draw_line(words, able, size, stroke=stroke, **style)

    def angle(self) -> float:
        """Degrees: often none, mostly small."""
        most = self.canvas.settings.max_angle
        if self.rng.random() < 0.35:
            return 0.0
        return float(np.clip(self.rng.normal(0, most / 2.5), -most, most))


def maybe_bent(pen: Pen, sprite: Sprite) -> Sprite:
    """Lay the line on an arc, as often as the settings ask for it."""
    settings = pen.canvas.settings
    if not settings.curved or pen.rng.random() >= settings.curved:
        return sprite
    height, width = sprite.mask.shape
    most = min(2.2, 0.7 * width / height)  # the arc's radius stays above 1.4 times the text's height
    turn = float(pen.rng.uniform(0.35, 1.0)) * most * (1 if pen.rng.random() < 0.65 else -1)
    return bend(sprite, turn, settings.curve_points) if most > 0.3 else sprite


def luminance(tone: npt.NDArray[np.floating]) -> float:
    """Brightness of a BGR color, 0..255."""
    return float(tone @ np.array([0.114, 0.587, 0.299], np.float32))


def sheet_turn(pen: Pen) -> Matrix:
    """A small turn of the whole sheet about the page's middle."""
    height, width = pen.canvas.image.shape[:2]
    degrees = 0.0 if pen.rng.random() < 0.4 else float(pen.rng.normal(0, pen.canvas.settings.max_angle / 6))
    return shift(width / 2, height / 2) @ rotation(degrees) @ shift(-width / 2, -height / 2)


def paper(pen: Pen, turn: Matrix, width_share: float) -> tuple[float, float, float, float]:
    """Lay a sheet of paper on the background, or take the background for paper; returns the box to write in."""
    rng = pen.rng
    page_height, page_width = pen.canvas.image.shape[:2]
    width = page_width * width_share
    left = float(rng.uniform(0, page_width - width))
    top, bottom = page_height * float(rng.uniform(0, 0.05)), page_height * float(rng.uniform(0.75, 1.0))
    right = left + width
    area = through(grow(box_polygon(left, top, right, bottom), -2), turn)
    # Print on a photograph or a strong pattern needs paper under it.
    if width_share < 1 or pen.canvas.around(area)[1] > 18 or rng.random() < 0.4:
        pen.canvas.fill(through(box_polygon(left, top, right, bottom), turn), color(rng, 185, 255, vivid=0.35))
    margin = max(6.0, width * float(rng.uniform(0.03, 0.08)))
    return left + margin, top + margin, right - margin, bottom - margin


def fitting(pen: Pen, words: Iterable[str], font: str, size: int, room: float, space: float = 0.35) -> Sprite | None:
    """As many of the words as fit a width, drawn as one line; None where not even the first does."""
    used = 0.0
    taken: list[str] = []
    for word in words:
        used += text_width(font, size, word) + (max(2, round(space * size)) if taken else 0)
        if used > room:
            break
        taken.append(word)
    return pen.line(taken, font, size, space=space) if taken else None
