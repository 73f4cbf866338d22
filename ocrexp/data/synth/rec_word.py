"""One drawn word or line for recognition, from its text and its random numbers."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth import backgrounds
from ocrexp.data.synth.canvas import Matrix, blend, ink
from ocrexp.data.synth.degrade import degrade
from ocrexp.data.synth.fonts import load_font
from ocrexp.data.synth.shaping import needs_shaping
from ocrexp.data.synth.sprites import Sprite, bend, box_polygon, draw_line, rotation, shift, through
from ocrexp.data.synth.vertical import draw_column, suits_vertical, turned_as_crop
from ocrexp.errors import DataError
from ocrexp.types import Image, Polygon

_PHOTOGRAPH_SIDE = 288  # pixels of a photograph's shorter side: crops of words show no more
_LARGEST_FONT = 900  # font size times characters: long lines are drawn smaller, as scans have them
# Their outlines show the case of a word and where its line is; a tight crop of the others looks the same
# ("sox" and "SOX", "-" and "_").
_TELLING = frozenset("ABDEFGHIJKLMNQRTYabdefghijklmnpqrty123456789(){}[]|/\\$@&%#!?")


@dataclass(frozen=True, slots=True)
class WordSettings:
    """How words look; `ocrexp.data.synth.rec_dataset.SynthRec` documents each value. Shares and amounts are those
    after `difficulty`."""

    font_size: tuple[int, int]
    margin: tuple[float, float]
    max_angle: float
    slant: float
    stretch: float
    perspective: float
    curved: float
    tracking: float
    effects: float
    strokes: float
    neighbours: float
    plain: float
    contrast: float
    inverted: float
    background_share: float
    degrade: float
    vertical: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """A drawn text: image (height, width, 3) uint8 BGR, its text, and the JPEG quality to store it with."""

    image: Image
    text: str
    quality: int

    @property
    def label(self) -> str:
        return self.text


def draw_word(settings: WordSettings, text: str, font: str, photographs: list[Path], rng: np.random.Generator) -> Word:
    """Draw a text with a font that has its characters; all that is random comes from `rng`."""
    size = _font_size(settings, len(text), rng)
    if settings.vertical and suits_vertical(text) and rng.random() < settings.vertical:
        return _column(settings, text, font, size, photographs, rng)
    tracking = float(rng.uniform(0.03, 0.25)) if rng.random() < settings.tracking else 0.0
    space = float(rng.uniform(0.28, 0.5)) + tracking
    stroke = 1 if size >= 26 and rng.random() < settings.effects * 0.4 else 0
    sprite = draw_line(text.split(" "), font, size, space=space, tracking=tracking, stroke=stroke)
    if sprite is None:
        raise DataError(f"{text!r} drawn with {font} is invisible; remove the font, or the characters")
    outline = with_capitals(sprite, text, font, size)
    if rng.random() < settings.curved:
        sprite, outline = _bent(sprite, outline, rng)
    return _compose(settings, sprite, outline, size, text, photographs, rng)


def _column(
    settings: WordSettings, text: str, font: str, size: int, photographs: list[Path], rng: np.random.Generator
) -> Word:
    """A vertical line, turned as the crops of such lines are."""
    tracking = float(rng.uniform(0.03, 0.25)) if rng.random() < settings.tracking else 0.0
    sprite = draw_column(text, font, size, tracking)
    if sprite is None:
        raise DataError(f"{text!r} drawn with {font} is invisible; remove the font, or the characters")
    # Beside a vertical line are other columns; what lies above or below belongs to it.
    word = _compose(replace(settings, neighbours=0.0), sprite, sprite.outline, size, text, photographs, rng, True)
    return replace(word, image=turned_as_crop(word.image))


def _font_size(settings: WordSettings, length: int, rng: np.random.Generator) -> int:
    least, most = settings.font_size
    size = round(math.exp(rng.uniform(math.log(least), math.log(most))))
    return max(least, min(size, _LARGEST_FONT // length))


def with_capitals(sprite: Sprite, text: str, font: str, size: int) -> Polygon:
    """The line's outline; with the height of capitals and the baseline if they do not follow from the characters."""
    if not _TELLING.isdisjoint(text):
        return sprite.outline
    drawn = load_font(font, size, needs_shaping(text))
    top, bottom = drawn.getbbox(text, anchor="ls")[1::2]
    above = max(0.0, top - drawn.getbbox("H", anchor="ls")[1])
    below = max(0.0, -bottom)
    (left, upper), (right, lower) = sprite.outline[0], sprite.outline[2]
    return box_polygon(left, upper - above, right, lower + below)


def _bent(sprite: Sprite, outline: Polygon, rng: np.random.Generator) -> tuple[Sprite, Polygon]:
    height, width = sprite.mask.shape
    most = min(1.6, 4.0 * height / width)  # the middle rises by half the text's height at most
    if width < 2 * height:
        return sprite, outline
    turn = float(rng.uniform(0.3, 1.0)) * most * (1 if rng.random() < 0.65 else -1)
    arc = bend(sprite, turn, 12)
    return arc, arc.outline


def _view(settings: WordSettings, outline: Polygon, rng: np.random.Generator, column: bool) -> Matrix:
    """Stretch, slant, turn and perspective of the text."""
    matrix = np.eye(3)
    if settings.stretch:
        matrix[0, 0] = math.exp(rng.uniform(-1, 1) * settings.stretch)
    if settings.slant and rng.random() < 0.4:
        matrix = np.array([[1.0, -rng.uniform(-0.5, 1) * settings.slant, 0], [0, 1, 0], [0, 0, 1]]) @ matrix
    if settings.max_angle and rng.random() < 0.6:
        degrees = float(np.clip(rng.normal(0, settings.max_angle / 2), -settings.max_angle, settings.max_angle))
        matrix = rotation(degrees) @ matrix
    if settings.perspective and rng.random() < 0.5:
        flat = through(outline, matrix)
        low, high = flat.min(axis=0), flat.max(axis=0)
        corners = box_polygon(*low, *high)
        moved = corners + rng.uniform(-1, 1, (4, 2)) * settings.perspective * _thickness(low, high, column)
        matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32)) @ matrix
    return matrix


def _thickness(low: npt.NDArray[np.floating], high: npt.NDArray[np.floating], column: bool) -> float:
    """The height of a line, the width of a vertical one; distances are shares of it."""
    return float(high[0] - low[0] if column else high[1] - low[1])


def _compose(
    settings: WordSettings,
    sprite: Sprite,
    outline: Polygon,
    size: int,
    text: str,
    photographs: list[Path],
    rng: np.random.Generator,
    column: bool = False,
) -> Word:
    view = _view(settings, outline, rng, column)
    placed = through(outline, view)
    low, high = placed.min(axis=0), placed.max(axis=0)
    tall = _thickness(low, high, column)
    least, most = settings.margin
    # Left, top, right, bottom; skewed to tight, for crops are cut by boxes around the ink.
    margins = np.maximum(1.5, tall * (least + (most - least) * rng.random(4) ** 2 * rng.random()))
    width = math.ceil(high[0] - low[0] + margins[0] + margins[2])
    height = math.ceil(high[1] - low[1] + margins[1] + margins[3])
    at = shift(margins[0] - low[0], margins[1] - low[1]) @ view
    image, level = _ground(settings, height, width, photographs, rng)
    least_contrast = settings.contrast + float(rng.uniform(0, 40))
    tone = ink(rng, level, least_contrast)
    _lay(settings, image, sprite, at, margins, size, tone, rng)
    image, quality = degrade(image, settings.degrade, rng, varied=True)
    return Word(image, text, quality)


def _ground(
    settings: WordSettings, height: int, width: int, photographs: list[Path], rng: np.random.Generator
) -> tuple[Image, float]:
    """What the text stands on, calm enough to read it, and its mean luminance."""
    if photographs and rng.random() < settings.background_share:
        image = _photograph(photographs[int(rng.integers(len(photographs)))], height, width, rng)
    elif rng.random() < settings.plain:
        dark = rng.random() < settings.inverted
        tone = backgrounds.color(rng, 0, 100) if dark else backgrounds.color(rng, 150, 255)
        image = backgrounds.plain(height, width, tone)
    else:
        image = backgrounds.surface(height, width, rng)
    mean, spread = cv2.meanStdDev(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    level, unrest = float(mean[0, 0]), float(spread[0, 0])
    if unrest > 22:
        gain = float(rng.uniform(14, 22)) / unrest
        image = cv2.convertScaleAbs(image, alpha=gain, beta=level * (1 - gain))
    return image, level


@functools.lru_cache(maxsize=256)
def _small(path: Path) -> Image:
    image = backgrounds.decoded(path)
    factor = _PHOTOGRAPH_SIDE / min(image.shape[:2])
    flags = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=flags)


def _photograph(path: Path, height: int, width: int, rng: np.random.Generator) -> Image:
    """A random part of a photograph at a random scale."""
    image = _small(path)
    rows, columns = image.shape[:2]
    most = min(columns / width, rows / height)
    factor = most * float(rng.uniform(0.3, 1.0))
    part_height, part_width = max(2, int(height * factor)), max(2, int(width * factor))
    top, left = int(rng.integers(rows - part_height + 1)), int(rng.integers(columns - part_width + 1))
    part = image[top : top + part_height, left : left + part_width]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)


def _lay(
    settings: WordSettings,
    image: Image,
    sprite: Sprite,
    at: Matrix,
    margins: npt.NDArray[np.float64],
    size: int,
    tone: npt.NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """The text with its outline or shadow, its neighbors' edges, and lines under and across it."""
    if rng.random() < settings.neighbours:
        below = rng.random() < 0.5
        margin = float(margins[3 if below else 1])
        if margin > 6:  # it reaches into the margin, and never to the text
            away = sprite.mask.shape[0] + margin * float(rng.uniform(0.4, 0.8))
            blend(image, sprite.mask, at @ shift(float(rng.uniform(-1, 1)) * size, away if below else -away), tone)
    if rng.random() < settings.strokes:
        _stroke(image, sprite, at, size, tone, rng)
    effect = rng.random() if size >= 22 else 1.0  # rims close small letters
    if effect < settings.effects * 0.5:
        edge = max(1, size // 20)
        halo = cv2.copyMakeBorder(sprite.mask, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
        halo = cv2.dilate(halo, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1)))
        blend(image, halo, at @ shift(-edge, -edge), np.float32(255) - tone)
    elif effect < settings.effects:
        away = max(1.0, size * 0.06)
        blend(image, sprite.mask, at @ shift(away, away), backgrounds.color(rng, 0, 60, vivid=0.0), 0.5)
    blend(image, sprite.mask, at, tone, float(rng.uniform(0.85, 1.0)))


def _stroke(
    image: Image, sprite: Sprite, at: Matrix, size: int, tone: npt.NDArray[np.float32], rng: np.random.Generator
) -> None:
    """An underline, the ruling of a form or a table, or a line across the text."""
    height, width = image.shape[:2]
    rows, columns = sprite.mask.shape
    thick = max(1, round(size * float(rng.uniform(0.02, 0.07))))
    kind = rng.random()
    if kind < 0.4:  # underline
        y = rows + size * float(rng.uniform(0.03, 0.12))
        ends = through(np.array([[0.0, y], [columns, y]]), at)
    elif kind < 0.7:  # ruling, along an edge of the crop
        if rng.random() < 0.7:
            y = float(rng.choice((0.04, 0.96))) * height
            ends = np.array([[-2.0, y], [width + 2.0, y + float(rng.uniform(-2, 2))]])
        else:
            x = float(rng.choice((0.0, 1.0))) * (width - 1)
            ends = np.array([[x, -2.0], [x, height + 2.0]])
    else:  # across: a crease, a strike, a hair
        thick = 1
        ends = np.array([[-2.0, rng.uniform(0, height)], [width + 2.0, rng.uniform(0, height)]])
        tone = tone + (np.float32(128) - tone) * np.float32(rng.uniform(0.2, 0.6))
    start, end = np.round(ends * 16).astype(int).tolist()
    cv2.line(image, start, end, tone.tolist(), thick, cv2.LINE_AA, 4)
