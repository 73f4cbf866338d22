"""One labelled page from its numbers alone: the same (seed, split, page) gives the same page anywhere, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ocrexp.data.synth import backgrounds
from ocrexp.data.synth.canvas import Canvas, Matrix, PageSettings, Region
from ocrexp.data.synth.fonts import FontSet
from ocrexp.data.synth.layouts import LAYOUTS, illegible
from ocrexp.data.synth.pen import Pen
from ocrexp.data.synth.words import SPLITS, Split, WordMaker
from ocrexp.types import Image


@dataclass(frozen=True, slots=True)
class Page:
    """A drawn page: image (height, width, 3) uint8 BGR, its regions, and the JPEG quality to store it with."""

    image: Image
    regions: list[Region]
    quality: int


def draw_page(
    settings: PageSettings,
    seed: int,
    split: Split,
    index: int,
    texts: WordMaker,
    fonts: FontSet,
    photographs: list[Path],
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
    pen = Pen(canvas, texts, fonts)
    names = [name for name, weight in settings.layouts.items() if weight > 0]
    weights = np.array([settings.layouts[name] for name in names], np.float64)
    LAYOUTS[names[int(rng.choice(len(names), p=weights / weights.sum()))]](pen)
    if rng.random() < settings.illegible:
        illegible(pen)
    image, quality = _degrade(canvas.image, settings.degrade, rng)
    return Page(image, canvas.regions, quality)


def _view(settings: PageSettings, rng: np.random.Generator) -> Matrix:
    """The slight perspective of the page: its corners moved by up to `perspective` of its size."""
    if settings.perspective <= 0 or rng.random() < 0.4:
        return np.eye(3)
    height, width = settings.height, settings.width
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-1, 1, (4, 2)) * settings.perspective * (width, height)
    return cv2.getPerspectiveTransform(corners, moved.astype(np.float32))


def _degrade(image: Image, strength: float, rng: np.random.Generator) -> tuple[Image, int]:
    """What cameras, scanners and storage do: uneven light, blur, grain, grey, loss of contrast, JPEG artefacts."""
    if strength <= 0:
        return image, 95
    height, width = image.shape[:2]
    if rng.random() < 0.3 * strength:
        light = backgrounds.clouds(height, width, int(rng.integers(2, 4)), rng)
        depth = float(rng.uniform(0.1, 0.4))
        light = cv2.convertScaleAbs(light, alpha=depth, beta=255 * (1 - depth))
        image = cv2.multiply(image, cv2.merge([light, light, light]), scale=1 / 255)
    if rng.random() < 0.4 * strength:
        sigma = float(rng.uniform(0.4, 1.1))
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    elif rng.random() < 0.1 * strength:
        kernel = np.full((1, 3), 1 / 3, np.float32)
        image = cv2.filter2D(image, -1, kernel if rng.random() < 0.5 else kernel.T)
    if rng.random() < 0.15 * strength:
        gain = float(rng.uniform(0.6, 0.9))
        image = cv2.convertScaleAbs(image, alpha=gain, beta=float(rng.uniform(0, 255 * (1 - gain))))
    if rng.random() < 0.1 * strength:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.6 * strength:
        image = backgrounds.add_grain(image, int(rng.choice(4, p=(0.4, 0.35, 0.17, 0.08))), rng)
    strong = rng.random() < 0.25 * strength
    return image, int(rng.integers(35, 65) if strong else rng.integers(80, 96))
