"""Measures the look of a real text image by drawing its own text until the two look alike.

The text is known, so every number is compared with that of the same text in a font: which font, how it is stretched,
slanted and turned, how thick its strokes and how blurred their edges are. No network is trained.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.fonts import can_draw
from ocrexp.data.synth.sprites import INK, draw_line
from ocrexp.data.synth.style.ink import Separated, noise_of, separate, stroke_width
from ocrexp.data.synth.style.looks import Edges, Look, Plane, fatten, soften, transform_ink
from ocrexp.data.synth.words import core
from ocrexp.types import Image

Mask = npt.NDArray[np.uint8]

_EM = 40  # pixels of the font size in which texts are compared
_HEIGHT = 24  # pixels to which print and drawn words are brought for the comparison
_MOST_WORDS = 3  # the longest words of a line are enough to know its font
_LEAST_FIT = 0.35  # below it, the text is another one or cannot be found in the image
_STRETCHES = (0.45, 1.9)
_WEIGHTS = (-2, -1, 0, 1, 2, 3)  # of the drawn text's pixels
_EDGES = tuple(
    Edges(blur, gain)
    for blur, gain in ((0, 2.2), (0, 1.6), (0, 1.25), (0, 1), (0.4, 1), (0.6, 1), (0.8, 1), (1, 1), (1.25, 1), (1.6, 1))
)
# What the choice of an unusual form costs of the correlation: letters out of place can favor it by chance.
_COSTS = {"lower": 0.06, "title": 0.02, "upper": 0.0, "as_is": 0.0}
_OBLIQUE = 0.05
_OBLIQUE_NAMES = ("Oblique", "Italic", "Ita.", "cmti")  # of the fonts of matplotlib, and usual elsewhere


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word of the print: its box, the ink in it brought to one height, and its text."""

    box: tuple[int, int, int, int]
    ink: Plane
    text: str


def measure(
    image: Image, text: str, fonts: Sequence[str], cases: Sequence[str] = ("as_is",), quality: int = 95
) -> Look | str:
    """The look of a text image.

    Args:
        image: (height, width, 3) uint8 BGR.
        text: what it shows.
        fonts: files of the fonts to choose from.
        cases: how a word may be printed: of `looks.CASES`. Labels in capitals do not say.
        quality: JPEG quality of the file.

    Returns the look, or the reason why it cannot be measured.
    """
    if len(core(text)) < 2:
        return "has fewer than 2 letters or digits"
    parts = separate(image)
    if isinstance(parts, str):
        return parts
    able = [font for font in fonts if can_draw(font, text.replace(" ", ""))]
    if not able:
        return "has characters that no font draws"
    units = _units(parts, text)
    font = _font_of(units, able, cases)
    written = [_best_case(unit, font, cases)[1] for unit in units]
    shown = [_Unit(unit.box, unit.ink, in_case(unit.text, case)) for unit, case in zip(units, written, strict=True)]
    slant, angle, fit = _leaning(shown, font)
    if fit < _LEAST_FIT:
        return "does not show its text"
    return _look(parts, shown, font, tuple(written), slant, angle, fit, quality)


def in_case(text: str, case: str) -> str:
    """The text in one of `looks.CASES`."""
    if case == "upper":
        return text.upper()
    if case == "lower":
        return text.lower()
    return " ".join(word.capitalize() for word in text.split(" ")) if case == "title" else text


def _units(parts: Separated, text: str) -> list[_Unit]:
    """The words of the print, where its gaps show them; else the whole line."""
    left, top, right, bottom = parts.box
    words = text.split()
    inked = (parts.share[top:bottom, left:right] > 0.35).any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], inked.view(np.int8), [1]])))
    gaps = sorted(((int(b - a), int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)), reverse=True)
    chosen = gaps[: len(words) - 1]
    next_gap = gaps[len(words) - 1][0] if len(gaps) >= len(words) else 0
    clear = len(chosen) == len(words) - 1 and all(gap > max(next_gap, 0.15 * (bottom - top)) for gap, _, _ in chosen)
    if len(words) == 1 or not clear:
        return [_unit(parts, left, right, " ".join(words))]
    starts, ends = [left], []
    for _, begin, end in sorted(chosen, key=lambda gap: gap[1]):
        ends.append(left + begin)
        starts.append(left + end)
    ends.append(right)
    return [_unit(parts, *span) for span in zip(starts, ends, words, strict=True)]


def _unit(parts: Separated, left: int, right: int, text: str) -> _Unit:
    share = parts.share[parts.box[1] : parts.box[3], left:right]
    rows = np.flatnonzero((share > 0.35).any(axis=1))
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, share.shape[0])
    width = max(3, round((right - left) * _HEIGHT / max(1, bottom - top)))
    ink = cv2.resize(share[top:bottom], (min(width, 900), _HEIGHT), interpolation=cv2.INTER_AREA)
    return _Unit((left, parts.box[1] + top, right, parts.box[1] + bottom), _centered(ink), text)


def _centered(share: Plane) -> Plane:
    """Blurred, so that small shifts of letters count little; mean 0 and length 1."""
    plane = cv2.GaussianBlur(share, (0, 0), 1.2)
    plane -= plane.mean()
    return plane / max(float(np.linalg.norm(plane)), 1e-6)


@functools.lru_cache(maxsize=8192)
def _mask(text: str, font: str) -> Mask | None:
    sprite = draw_line(text.split(), font, _EM)
    return None if sprite is None else _cut(sprite.mask)


def _cut(mask: Mask) -> Mask:
    left, top, width, height = cv2.boundingRect((mask > INK).view(np.uint8))
    return np.ascontiguousarray(mask[top : top + height, left : left + width]) if width and height else mask


def _match(unit: _Unit, text: str, font: str, slant: float = 0.0, angle: float = 0.0) -> float:
    """Correlation of a printed word with a drawn one in its box, less what an odd stretch costs."""
    mask = _mask(text, font)
    if mask is None:
        return -1.0
    if slant or angle:
        mask = _cut(transform_ink(mask, slant, angle))
    height, width = unit.ink.shape
    stretch = (width / height) / (mask.shape[1] / mask.shape[0])
    if not _STRETCHES[0] <= stretch <= _STRETCHES[1]:
        return -1.0
    drawn = _centered(soften(mask, (width, height), Edges(0, 1)))
    return float((unit.ink * drawn).sum()) - 0.08 * abs(float(np.log(stretch)))


def _best_case(unit: _Unit, font: str, cases: Sequence[str]) -> tuple[float, str]:
    written = {in_case(unit.text, case): case for case in reversed(cases)}
    return max((_match(unit, text, font) - _COSTS[case], case) for text, case in written.items())


def _font_of(units: Sequence[_Unit], fonts: Sequence[str], cases: Sequence[str]) -> str:
    """The font that explains the print best."""
    telling = _telling(units)

    def fit_of(font: str) -> float:
        oblique = any(word in font for word in _OBLIQUE_NAMES)
        return _mean(telling, [_best_case(unit, font, cases)[0] for unit in telling]) - _OBLIQUE * oblique

    return max(fonts, key=fit_of)


def _telling(units: Sequence[_Unit]) -> list[_Unit]:
    return sorted(units, key=lambda unit: -len(unit.text))[:_MOST_WORDS]


def _mean(units: Sequence[_Unit], values: Sequence[float]) -> float:
    """The mean of the words' values, by their widths."""
    return float(np.average(values, weights=[unit.ink.shape[1] for unit in units]))


def _leaning(units: Sequence[_Unit], font: str) -> tuple[float, float, float]:
    """Slant, angle and correlation: changed only where the print is clearly better explained."""
    telling = _telling(units)

    def fit_of(slant: float, angle: float) -> float:
        return _mean(telling, [_match(unit, unit.text, font, slant, angle) for unit in telling])

    slant = angle = 0.0
    fit = fit_of(0.0, 0.0)
    for degrees in (-3.0, -1.5, 1.5, 3.0):
        if (found := fit_of(0.0, degrees)) > fit + 0.02:
            fit, angle = found, degrees
    for shear in (-0.12, 0.12, 0.24):
        if (found := fit_of(shear, angle)) > fit + 0.03:
            fit, slant = found, shear
    return slant, angle, fit


def _look(
    parts: Separated,
    units: Sequence[_Unit],
    font: str,
    cases: tuple[str, ...],
    slant: float,
    angle: float,
    fit: float,
    quality: int,
) -> Look:
    unit = max(units, key=lambda each: len(each.text))
    drawn = _mask(unit.text, font)
    assert drawn is not None  # it was compared
    mask = _cut(transform_ink(drawn, slant, angle)) if slant or angle else drawn
    left, top, right, bottom = unit.box
    width, height = right - left, bottom - top
    scale = height / mask.shape[0]
    share = parts.share[top:bottom, left:right]
    weight, edges, shown = _strokes(share, mask)
    noise, grain = noise_of(parts)
    rows, columns = parts.gray.shape
    box = parts.box
    return Look(
        font=font,
        cases=cases,
        em=_EM * scale,
        stretch=float(np.clip(width / (mask.shape[1] * scale), *_STRETCHES)),
        slant=slant,
        angle=angle,
        weight=weight * scale,
        edges=edges,
        stroke=stroke_width(parts),
        ink=_triple(parts.ink),
        paper=_triple(parts.paper),
        unevenness=_unevenness(share, shown),
        noise=noise,
        grain=grain,
        margins=(float(box[0]), float(box[1]), float(columns - box[2]), float(rows - box[3])),
        quality=quality,
        fit=fit,
        ground=parts.ground,
        filled=parts.filled,
    )


def _strokes(share: Plane, mask: Mask) -> tuple[int, Edges, Plane]:
    """By how many of the mask's pixels the strokes are thicker, their edges, and the text drawn so.

    What has to agree is how much ink there is, and how steep its edges are.
    """
    size = share.shape[1], share.shape[0]
    amount, steepness = _amounts(share)
    pad = 4
    padded = cv2.copyMakeBorder(mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    best = np.inf, 0, Edges(0.4, 1)
    for weight in _WEIGHTS:
        flat = soften(np.ascontiguousarray(fatten(padded, weight)[pad:-pad, pad:-pad]), size, Edges(0, 1))
        for edges in _EDGES:
            ink, steep = _amounts(edges.of(flat))
            if ink <= 0 or steep <= 0:
                continue
            miss = np.log(ink / amount) ** 2 + 0.4 * np.log(steep / steepness) ** 2 + 0.002 * abs(weight)
            if miss < best[0]:
                best = float(miss), weight, edges
    _, weight, edges = best
    drawn = np.ascontiguousarray(fatten(padded, weight)[pad:-pad, pad:-pad])
    return weight, edges, soften(drawn, size, edges)


def _amounts(share: Plane) -> tuple[float, float]:
    """Mean of the ink's share, and mean square of its differences between neighbors."""
    across, down = np.diff(share, axis=1), np.diff(share, axis=0)
    return float(share.mean()), float(np.square(across).mean() + np.square(down).mean())


def _unevenness(share: Plane, drawn: Plane) -> float:
    """How much more the ink on the middle of the strokes varies than that of the drawn text."""

    def spread(plane: Plane) -> float:
        ridge = plane[(plane >= cv2.dilate(plane, np.ones((3, 3), np.uint8))) & (plane > 0.3)]
        return float(ridge.std()) if len(ridge) >= 8 else 0.0

    return float(np.sqrt(max(0.0, spread(share) ** 2 - spread(drawn) ** 2)))


def _triple(color: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(color[0]), float(color[1]), float(color[2])
