"""Words of another image pasted where there is room (PaddleOCR's CopyPaste)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from ocrexp.augment.geometry import (
    Matrix,
    as_polygon,
    boxes_of,
    compose,
    flip_and_rotate,
    scaling,
    transform,
    translation,
)
from ocrexp.types import Image, ImageKind, Polygon, Sample

_MOST_WORDS = 30


class CopyPaste:
    """Pastes legible words of another training image, turned by any angle, onto free places.

    Words of any number of points: what is copied is the polygon's inside, not its box. A word that finds no free place
    in `max_tries`, or does not fit, is not pasted. Put it before the crop. Ignored regions count as taken.

    Args:
        objects_paste_ratio: share of the other image's regions that are pasted; one at least, 30 at most.
        limit_paste: false pastes anywhere; regions underneath that the word covers become ignored.
        p: probability that a sample gets any.
        scale: range of the words' scale.
        rotate: range of their angle, degrees.
        max_tries: places tried for a word.
    """

    images: ClassVar[ImageKind] = "page"

    def __init__(
        self,
        objects_paste_ratio: float = 0.2,
        limit_paste: bool = True,
        p: float = 1.0,
        scale: Sequence[float] = (1.0, 1.0),
        rotate: Sequence[float] = (0.0, 360.0),
        max_tries: int = 50,
    ) -> None:
        if not 0 < objects_paste_ratio <= 1:
            raise ValueError(f"objects_paste_ratio: expected above 0 and up to 1, got {objects_paste_ratio}")
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale: expected [low, high], above 0, got {list(scale)}")
        self.objects_paste_ratio = objects_paste_ratio
        self.limit_paste = limit_paste
        self.p = p
        self.scale = (scale[0], scale[1])
        self.rotate = (rotate[0], rotate[1])
        self.max_tries = max_tries

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        other = sample["others"](rng)
        legible = np.flatnonzero(~np.asarray(other["ignored"], dtype=bool))
        count = min(max(int(self.objects_paste_ratio * len(other["polygons"])), 1), _MOST_WORDS, len(legible))
        image = sample["image"].copy()
        polygons, texts = list(sample["polygons"]), list(sample["texts"])
        ignored = list(np.asarray(sample["ignored"], dtype=bool))
        for i in rng.permutation(legible)[:count]:
            placed = self._place(image, other["image"], other["polygons"][i], polygons, rng)
            if placed is None:
                continue
            for j in np.flatnonzero(_overlaps(placed, polygons)):
                ignored[j] = True  # covered in part: neither text nor background
            polygons.append(placed)
            texts.append(other["texts"][i])
            ignored.append(False)
        sample["image"], sample["polygons"], sample["texts"] = image, polygons, texts
        sample["ignored"] = np.array(ignored, dtype=bool)
        return sample

    def _place(
        self, image: Image, source: Image, word: Polygon, taken: list[Polygon], rng: np.random.Generator
    ) -> Polygon | None:
        """Paste one word into `image`; returns its new polygon, or None if it was not pasted."""
        height, width = image.shape[:2]
        left, top, right, bottom = boxes_of([word])[0].tolist()
        factor = rng.uniform(*self.scale)
        turn = compose(
            translation(-left, -top),
            flip_and_rotate(right - left, bottom - top, False, rng.uniform(*self.rotate)),
            scaling(factor, factor),
        )
        turned = transform([word], turn)[0]
        low, high = np.floor(turned.min(axis=0)), np.ceil(turned.max(axis=0))
        patch_width, patch_height = (high - low).astype(int).tolist()
        if not (0 < patch_width <= width and 0 < patch_height <= height):
            return None
        for _ in range(self.max_tries):
            x = int(rng.integers(width - patch_width + 1))
            y = int(rng.integers(height - patch_height + 1))
            placed = as_polygon(turned - low + (x, y))
            if not self.limit_paste or not _overlaps(placed, taken).any():
                to_patch = compose(turn, translation(-low[0], -low[1]))
                _paste(image[y : y + patch_height, x : x + patch_width], source, to_patch, turned - low)
                return placed
        return None


def _paste(window: Image, source: Image, matrix: Matrix, outline: np.ndarray) -> None:
    """Write the inside of `outline` (window coordinates) from the source, led there by `matrix`, into the window."""
    height, width = window.shape[:2]
    centers = compose(translation(0.5, 0.5), matrix, translation(-0.5, -0.5))
    patch = cv2.warpAffine(source, centers, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.round(outline - 0.5).astype(np.int32)], 1)
    np.copyto(window, patch, where=inside[..., None].astype(bool))


def _overlaps(polygon: Polygon, others: list[Polygon]) -> np.ndarray:
    """Which of the others' upright boxes meet the polygon's."""
    x1, y1, x2, y2 = boxes_of([polygon])[0]
    boxes = boxes_of(others)
    return (boxes[:, 0] < x2) & (boxes[:, 2] > x1) & (boxes[:, 1] < y2) & (boxes[:, 3] > y1)
