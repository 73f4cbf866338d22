"""A text drawn in the look of a real one."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.rec_word import with_capitals
from ocrexp.data.synth.sprites import box_polygon, draw_line
from ocrexp.data.synth.style.looks import Edges, Look, Plane, fatten, leaning, soften
from ocrexp.types import Image, Polygon

_SIZES = (24, 32, 40, 48, 56, 64, 80, 96)  # font sizes that are loaded; what lies between is scaled
_DETAILED_EM = 48  # pixels: texts are drawn about this large, then shrunk as a scanner would
_MOST_DETAIL = 4
_NOISE_SIDE = (128, 2048)
_GRAINS = 5  # steps of the noise's correlation that are kept


@dataclass(frozen=True, slots=True)
class StyledWord:
    """A drawn text: image (height, width, 3) uint8 BGR, label, JPEG quality, and the outline of its ink."""

    image: Image
    text: str
    quality: int
    polygon: Polygon

    @property
    def label(self) -> str:
        return self.text


def draw_styled(
    look: Look, written: str, label: str, font: str, variation: float, rng: np.random.Generator
) -> StyledWord | None:
    """Draw a text in a look.

    Args:
        look: of a real image.
        written: what is drawn.
        label: its text in the label list, which may have other cases.
        font: file of a font that has its characters; that of the look where it does.
        variation: how far sizes, weight, blur and colors may differ from the look, 0..1: at 1 by about a fifth.
        rng: random numbers.

    Returns None where nothing would be seen.
    """
    spread = rng.normal(0, 0.12 * variation, 6)
    em = max(6.0, look.em * math.exp(spread[0]))
    detail = int(np.clip(round(_DETAILED_EM / em), 1, _MOST_DETAIL))
    size = next((size for size in _SIZES if size >= em * detail), _SIZES[-1])
    sprite = draw_line(written.split(" "), font, size)
    if sprite is None:
        return None
    box = with_capitals(sprite, written, font, size)
    weight = round((look.weight + spread[2]) * detail)
    matrix = leaning(look.slant, look.angle, look.stretch * math.exp(spread[1]), em * detail / size)
    sheet, outline = _placed(look, sprite.mask, box, matrix, detail, weight, rng)
    edges = Edges(look.edges.blur * math.exp(2 * spread[3]), look.edges.gain)
    share = soften(sheet, (sheet.shape[1] // detail, sheet.shape[0] // detail), edges)
    rows, columns = share.shape
    ground = ground_of(look, rows, columns, rng)
    image = _printed(look, share, ground, 60 * spread[4], rng)
    quality = int(np.clip(look.quality + rng.integers(-6, 7) * variation, 20, 98))
    return StyledWord(image, label, quality, (outline / detail).astype(np.float32))


def _placed(
    look: Look,
    mask: npt.NDArray[np.uint8],
    box: Polygon,
    matrix: npt.NDArray[np.float64],
    detail: int,
    weight: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """The mask on a sheet of `detail` times the image's size, and the outline of its ink there.

    `box`: what a label would enclose, in pixels of the mask.
    """
    grown = max(0, weight)
    low, high = _extent(box @ matrix.T)
    low, high = low - grown, high + grown
    # The look's margins, changed a little; some of a pixel at least, for boxes are drawn around the ink.
    margins = np.maximum(np.array(look.margins) * rng.uniform(0.5, 1.5, 4), rng.uniform(0.3, 1.5, 4))
    margins = np.minimum(margins, 0.6 * look.em) * detail
    columns, rows = np.ceil((high - low + margins[:2] + margins[2:]) / detail).astype(int).tolist()
    size = max(4, columns) * detail, max(8, rows) * detail
    offset = margins[:2] - low
    sheet = cv2.warpAffine(mask, np.hstack([matrix, offset[:, None]]), size, flags=cv2.INTER_LINEAR)
    inked = box_polygon(1, 1, mask.shape[1] - 1, mask.shape[0] - 1)
    outwards = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return fatten(sheet, weight), inked @ matrix.T + offset + outwards * grown


def _extent(points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return points.min(axis=0), points.max(axis=0)


def ground_of(look: Look, rows: int, columns: int, rng: np.random.Generator) -> Image:
    """Paper of the look in a size: the real one without its text, cut or mirrored to the size.

    Where it was under the text it gets the noise that was measured beside it.
    """
    height, width = look.ground.shape[:2]
    along = np.arange(columns) + int(rng.integers(2 * width))
    along = np.where(along // width % 2, width - 1 - along % width, along % width)  # mirrored to and fro
    down = np.arange(rows) * height // rows if rows > height else np.arange(rows) + int(rng.integers(height - rows + 1))
    part = look.ground.take(down, axis=0).take(along, axis=1)
    if look.noise > 0.5:
        noise = _field_part(sum(look.grain) / 2, rows, columns, rng) * np.float32(look.noise)
        noise *= look.filled.take(down, axis=0).take(along, axis=1)
        part = cv2.add(part, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
    return part


@functools.lru_cache(maxsize=_GRAINS)
def _field(grain: int) -> npt.NDArray[np.float32]:
    """A field of noise with standard deviation 1 whose neighbors are correlated by `grain` / _GRAINS."""
    raw = np.random.default_rng(31 + grain).standard_normal(_NOISE_SIDE, np.float32)
    if grain:
        # The correlation of a blurred field's neighbors is exp(-1 / (4 sigma²)).
        sigma = math.sqrt(-1 / (4 * math.log(min(0.92, grain / _GRAINS))))
        raw = cv2.GaussianBlur(raw, (0, 0), sigma)
        raw /= raw.std()
    return raw


def _field_part(grain: float, rows: int, columns: int, rng: np.random.Generator) -> Plane:
    field = _field(min(_GRAINS - 1, round(grain * _GRAINS)))
    high, wide = field.shape
    if rows > high or columns > wide:
        field = np.tile(field, (-(-rows // high), -(-columns // wide)))
        high, wide = field.shape
    top, left = int(rng.integers(high - rows + 1)), int(rng.integers(wide - columns + 1))
    return field[top : top + rows, left : left + columns]


def _printed(look: Look, share: Plane, ground: Image, brighter: float, rng: np.random.Generator) -> Image:
    """The ink on the paper."""
    if look.unevenness > 0.02:
        rough = _field_part(0.6, share.shape[0], share.shape[1], rng)
        share = share * np.clip(1 + np.float32(look.unevenness) * np.minimum(rough, 0.8), 0, 1)
    ink = np.clip(np.array(look.ink) + brighter, 0, 255).astype(np.float32)
    mixed = ground.astype(np.float32)
    mixed += (ink - mixed) * np.minimum(share, 1)[:, :, None]
    mixed += np.float32(0.5)
    return mixed.clip(0, 255).astype(np.uint8)
