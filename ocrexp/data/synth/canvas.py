"""The page being drawn: its image, where text already stands, and the labeled regions so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.backgrounds import color
from ocrexp.data.synth.sprites import Sprite, box_polygon, shift, through
from ocrexp.types import Image, Polygon

Matrix = npt.NDArray[np.float64]  # 3×3 homography
ILLEGIBLE = "###"


@dataclass(frozen=True, slots=True)
class PageSettings:
    """How pages look; `ocrexp.data.synth.dataset.SynthDet` documents each value."""

    height: int
    width: int
    level: Literal["word", "line"]
    layouts: Mapping[str, float]
    font_size: tuple[int, int]
    max_words: int
    max_angle: float
    perspective: float
    curved: float
    curve_points: int
    illegible: float
    degrade: float
    background_share: float


class DrawnRegion(NamedTuple):
    """One labeled outline in page pixels, clockwise from the text's top left."""

    polygon: Polygon
    text: str
    ignored: bool


def ink(rng: np.random.Generator, luminance: float, least: float = 70.0) -> npt.NDArray[np.float32]:
    """A BGR color that differs by `least` gray levels or more from a luminance; of the two sides mostly the wider."""
    room_below, room_above = luminance - least, 255 - luminance - least
    darker = room_below > room_above if rng.random() < 0.85 else room_below < room_above
    if (room_below if darker else room_above) < 0:
        darker = not darker
    low, high = (0, max(1.0, room_below)) if darker else (min(254.0, luminance + least), 255)
    return color(rng, int(low), math.ceil(high), vivid=0.8 if rng.random() < 0.5 else 0.0)


def blend(
    image: Image, mask: npt.NDArray[np.uint8], matrix: Matrix, tone: npt.NDArray[np.float32], alpha: float = 1.0
) -> None:
    """Lay a mask on an image in a color; `matrix` leads from the mask to the image."""
    height, width = mask.shape
    corners = through(box_polygon(0, 0, width, height), matrix)
    limit = image.shape[1], image.shape[0]
    left, top = (max(0, int(v) - 1) for v in corners.min(axis=0))
    right, bottom = (min(end, math.ceil(v) + 1) for end, v in zip(limit, corners.max(axis=0), strict=True))
    if right <= left or bottom <= top:
        return
    # Outlines count pixel edges, OpenCV counts pixel centers: half a pixel lies between them.
    to_window = shift(-left - 0.5, -top - 0.5) @ matrix @ shift(0.5, 0.5)
    patch = cv2.warpPerspective(mask, to_window, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    share = patch.astype(np.float32)[:, :, None] * np.float32(alpha / 255)
    window = image[top:bottom, left:right]
    change = tone - window
    change *= share
    change += window
    change += np.float32(0.5)  # rounds, as the copy below truncates
    np.copyto(window, change, casting="unsafe")


class Canvas:
    """Draws sprites on an image without letting two texts overlap.

    Args:
        image: the background; it is drawn on.
        view: from the sheet, where layouts measure, to the page (a slight perspective).
        settings: how pages look.
        rng: the page's random numbers.
    """

    def __init__(self, image: Image, view: Matrix, settings: PageSettings, rng: np.random.Generator) -> None:
        self.image = image
        self.view = view
        self.settings = settings
        self.rng = rng
        self.regions: list[DrawnRegion] = []
        self.words = 0
        height, width = image.shape[:2]
        self._taken = np.zeros((height // 2 + 2, width // 2 + 2), np.uint8)  # half resolution is exact enough

    @property
    def full(self) -> bool:
        return self.words >= self.settings.max_words

    def _inside(self, polygon: npt.NDArray[np.floating]) -> bool:
        height, width = self.image.shape[:2]
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        return bool(low[0] >= 1 and low[1] >= 1 and high[0] <= width - 1 and high[1] <= height - 1)

    def free(self, sheet_polygon: npt.NDArray[np.floating]) -> bool:
        """Whether an outline in sheet coordinates lies on the page and meets no text."""
        polygon = through(sheet_polygon, self.view)
        if not self._inside(polygon):
            return False
        left, top = (int(v) // 2 for v in polygon.min(axis=0))
        right, bottom = (int(v) // 2 + 2 for v in polygon.max(axis=0))
        window = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillPoly(window, [np.round(polygon / 2 - (left, top)).astype(np.int32)], 1)
        return not bool(np.any(window & self._taken[top:bottom, left:right]))

    def _take(self, polygon: npt.NDArray[np.floating]) -> None:
        cv2.fillPoly(self._taken, [np.round(polygon / 2).astype(np.int32)], 1)

    def fill(self, sheet_polygon: npt.NDArray[np.floating], tone: npt.NDArray[np.float32]) -> None:
        """Fill an outline in sheet coordinates: paper, a plaque."""
        polygon = through(sheet_polygon, self.view)
        cv2.fillPoly(self.image, [np.round(polygon * 16).astype(np.int32)], tone.tolist(), cv2.LINE_AA, 4)

    def rule(
        self, start: tuple[float, float], end: tuple[float, float], tone: npt.NDArray[np.float32], width: int = 1
    ) -> None:
        """A straight line between two points of the sheet."""
        ends = np.round(through(np.array([start, end]), self.view)).astype(int)
        cv2.line(self.image, ends[0].tolist(), ends[1].tolist(), tone.tolist(), width, cv2.LINE_AA)

    def around(self, sheet_polygon: npt.NDArray[np.floating]) -> tuple[float, float]:
        """Mean and standard deviation of the luminance where an outline lies."""
        polygon = through(sheet_polygon, self.view)
        height, width = self.image.shape[:2]
        left, top = np.clip(polygon.min(axis=0).astype(int), 0, (width - 2, height - 2))
        right, bottom = np.clip(polygon.max(axis=0).astype(int) + 1, 1, (width, height))
        step = max(1, int(min(right - left, bottom - top)) // 12)
        part = self.image[top : max(bottom, top + 1) : step, left : max(right, left + 1) : step].astype(np.float32)
        gray = part @ np.array([0.114, 0.587, 0.299], np.float32)
        return float(gray.mean()), float(gray.std())

    def ink(self, luminance: float, least: float = 70.0) -> npt.NDArray[np.float32]:
        """A color that differs by `least` gray levels or more from what it is drawn on."""
        return ink(self.rng, luminance, least)

    def blend(
        self, mask: npt.NDArray[np.uint8], matrix: Matrix, tone: npt.NDArray[np.float32], alpha: float = 1.0
    ) -> None:
        """Lay a mask on the page in a color; `matrix` leads from the mask to the sheet."""
        blend(self.image, mask, self.view @ matrix, tone, alpha)

    def place(
        self,
        sprite: Sprite,
        matrix: Matrix,
        tone: npt.NDArray[np.float32],
        alpha: float = 1.0,
        illegible: bool = False,
        gap: float | None = None,
    ) -> bool:
        """Draw a line and label it.

        Args:
            sprite: the line.
            matrix: from the sprite to the sheet.
            tone: its color.
            alpha: its opacity.
            illegible: label the whole line as `###`.
            gap: where given, the line is dropped if it is nearer than this to another text.

        Returns False, having drawn nothing, where the line does not fit the page.
        """
        outline = through(sprite.outline, matrix)
        if not self._inside(through(outline, self.view)):
            return False
        if gap is not None and not self.free(grow(outline, gap)):
            return False
        self.blend(sprite.mask, matrix, tone, alpha)
        whole = self.view @ matrix
        if illegible or self.settings.level == "line":
            parts = [(ILLEGIBLE if illegible else sprite.text, sprite.outline)]
        else:
            parts = list(sprite.words)
        corners = through(np.concatenate([polygon for _, polygon in parts]), whole).astype(np.float32)
        ends = np.cumsum([len(polygon) for _, polygon in parts])[:-1]
        for (text, _), polygon in zip(parts, np.split(corners, ends), strict=True):
            self.regions.append(DrawnRegion(polygon, text, illegible))
        self._take(through(sprite.outline, whole))
        self.words += len(sprite.words)
        return True

    def label(self, text: str, sheet_polygon: npt.NDArray[np.floating]) -> None:
        """Label a word that `blend` has drawn; its outline is in sheet coordinates."""
        polygon = through(sheet_polygon, self.view)
        self.regions.append(DrawnRegion(polygon.astype(np.float32), text, False))
        self._take(polygon)
        self.words += 1


def grow(polygon: npt.NDArray[np.floating], gap: float) -> npt.NDArray[np.float64]:
    """An outline moved outwards from its center by about `gap`, enough to keep a distance from others."""
    center = polygon.mean(axis=0)
    away = polygon - center
    length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    return (polygon + away / length * gap * math.sqrt(2)).astype(np.float64)
