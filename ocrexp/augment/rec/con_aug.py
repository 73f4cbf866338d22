"""Longer lines from joined ones (PaddleOCR's RecConAug, TextConAug of PP-OCRv3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from ocrexp.augment.rec.base import check_probability
from ocrexp.located import option
from ocrexp.types import Image, ImageKind, Sample

log = logging.getLogger(__name__)

# Width of the gap of a space between two lines, shares of the height: their own margins are in front of it and behind.
_GAP = (0.15, 0.4)


class RecConAug:
    """Sets words of other training images behind this one, and their texts behind its text.

    All are brought to the height of the shape. A word that would make the text longer than `max_text_length`, or the
    image longer than the shape's aspect (which would squeeze it), is skipped; PaddleOCR stops at the first such
    word. Put it first in the list: what follows changes the whole line.

    Where the multi-scale sampler sets `sample["size"]`, it replaces `image_shape`.

    Args:
        prob: probability that a sample gets any.
        ext_data_num: other images tried.
        image_shape: height, width of the network's images; a third number, as PaddleOCR has it, is allowed.
        max_text_length: characters of the joined text.
        max_wh_ratio: greatest width by height of the joined image; null: that of the shape.
        join_with_space: join with a space, and a gap in the image: joined words are otherwise one word, which teaches
            the model not to read spaces. Without effect, with a warning, if the charset has no space.

    Raises ValueError for values out of their range.
    """

    images: ClassVar[ImageKind] = "line"

    def __init__(
        self,
        prob: float = 0.5,
        ext_data_num: int = 1,
        image_shape: Sequence[int] = (32, 320),
        max_text_length: int = 25,
        max_wh_ratio: float | None = None,
        join_with_space: bool = False,
    ) -> None:
        check_probability("prob", prob)
        if ext_data_num < 1:
            raise ValueError(f"ext_data_num: expected 1 or more, got {ext_data_num}; prob=0 disables it")
        if len(image_shape) not in (2, 3) or min(image_shape) < 1:
            raise ValueError(f"image_shape: expected [height,width], both positive, got {list(image_shape)}")
        if max_text_length < 1:
            raise ValueError(f"max_text_length: expected 1 or more, got {max_text_length}")
        if max_wh_ratio is not None and max_wh_ratio <= 0:
            raise ValueError(f"max_wh_ratio: expected a number above 0, got {max_wh_ratio}")
        self.prob = prob
        self.ext_data_num = ext_data_num
        self.image_shape = (int(image_shape[0]), int(image_shape[1]))
        self.max_text_length = max_text_length
        self.max_wh_ratio = max_wh_ratio
        self.join_with_space = join_with_space

    def know_characters(self, entries: Sequence[str]) -> None:
        """Join without a space if the charset has none."""
        if self.join_with_space and " " not in entries:
            log.warning(
                "%s=true: the charset has no space, so lines are joined without one; set "
                "charset.use_space_char=true or join_with_space=false",
                option(self, "join_with_space"),
            )
            self.join_with_space = False

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.prob:
            return sample
        height, width = sample.get("size") or self.image_shape
        most = width if self.max_wh_ratio is None else int(height * self.max_wh_ratio)
        text, total = sample["texts"][0], _width_at(sample["image"], height)
        parts: list[Image] = []
        space = " " if self.join_with_space else ""
        for _ in range(self.ext_data_num):
            if total >= most or len(text) >= self.max_text_length:
                break  # nothing fits any more: no need to read another image
            other = sample["others"](rng)
            other_text, other_width = other["texts"][0], _width_at(other["image"], height)
            gap = max(int(rng.uniform(*_GAP) * height), 1) if space else 0
            if len(text) + len(space) + len(other_text) > self.max_text_length or total + gap + other_width > most:
                continue
            before = parts[-1] if parts else _at(sample["image"], height)
            after = _at(other["image"], height)
            parts += [_paper(before, after, gap), after] if gap else [after]
            text += space + other_text
            total += gap + other_width
        if parts:
            sample["image"] = np.concatenate([_at(sample["image"], height), *parts], axis=1)
            sample["texts"] = [text]
        return sample


def _width_at(image: Image, height: int) -> int:
    return max(round(image.shape[1] / image.shape[0] * height), 1)


def _at(image: Image, height: int) -> Image:
    return np.asarray(cv2.resize(image, (_width_at(image, height), height)), dtype=np.uint8)


def _paper(before: Image, after: Image, width: int) -> Image:
    """A gap: from the median color of the last column before it to that of the first column after it."""
    ends = np.stack([np.median(before[:, -1], axis=0), np.median(after[:, 0], axis=0)])
    share = np.linspace(0, 1, width + 2)[1:-1, None]
    row = ends[0] * (1 - share) + ends[1] * share
    return np.repeat(row.round().astype(np.uint8)[None], len(before), axis=0)
