"""One labeled page from its numbers alone: the same (seed, split, page) gives the same page anywhere, in any order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ocrexp.data.synth import backgrounds
from ocrexp.data.synth.canvas import Canvas, DrawnRegion, Matrix, PageSettings
from ocrexp.data.synth.degrade import degrade
from ocrexp.data.synth.effect import Effect, photographed
from ocrexp.data.synth.fonts import FontSet
from ocrexp.data.synth.layouts import LAYOUTS, illegible
from ocrexp.data.synth.pen import Pen
from ocrexp.data.synth.words import SPLITS, PageWords, Split
from ocrexp.types import Image, Polygon


@dataclass(frozen=True, slots=True)
class Page:
    """A drawn page: image (height, width, 3) uint8 BGR, its regions, and the JPEG quality to store it with."""

    image: Image
    regions: list[DrawnRegion]
    quality: int

    @property
    def label(self) -> str:
        """`[{"transcription": …, "points": [[x, y], …]}, …]`, points to a tenth of a pixel."""
        objects = [
            {"transcription": region.text, "points": np.round(region.polygon.astype(np.float64), 1).tolist()}
            for region in self.regions
        ]
        return json.dumps(objects, ensure_ascii=False)


def draw_page(
    settings: PageSettings,
    seed: int,
    split: Split,
    index: int,
    texts: PageWords,
    fonts: FontSet,
    photographs: list[Path],
    camera: Sequence[Effect] = (),
    outlines: Sequence[Sequence[Polygon]] = (),
) -> Page:
    """Draw page `index` of a split; all that is random comes from (seed, split, index)."""
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    height, width = settings.height, settings.width
    if photographs and rng.random() < settings.background_share:
        path = photographs[int(rng.integers(len(photographs)))]
        image = backgrounds.photograph(path, height, width, rng)
    else:
        image = backgrounds.surface(height, width, rng)
    canvas = Canvas(image, _view(settings, rng), settings, rng)
    pen = Pen(canvas, texts, fonts, outlines)
    names = [name for name, weight in settings.layouts.items() if weight > 0]
    weights = np.array([settings.layouts[name] for name in names], np.float64)
    LAYOUTS[names[int(rng.choice(len(names), p=weights / weights.sum()))]](pen)
    if rng.random() < settings.illegible:
        illegible(pen)
    image, quality = degrade(canvas.image, settings.degrade, rng)
    if not camera:
        return Page(image, canvas.regions, quality)
    image, polygons = photographed(camera, image, [region.polygon for region in canvas.regions], rng)
    regions = [region._replace(polygon=polygon) for region, polygon in zip(canvas.regions, polygons, strict=True)]
    return Page(image, regions, quality)


def _view(settings: PageSettings, rng: np.random.Generator) -> Matrix:
    """The slight perspective of the page: its corners moved by up to `perspective` of its size."""
    if settings.perspective <= 0 or rng.random() < 0.4:
        return np.eye(3)
    height, width = settings.height, settings.width
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-1, 1, (4, 2)) * settings.perspective * (width, height)
    return cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
