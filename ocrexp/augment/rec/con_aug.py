"""Longer lines from joined ones (PaddleOCR's RecConAug, TextConAug of PP-OCRv3)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ocrexp.augment.rec.base import check_probability
from ocrexp.types import Image, Sample


class RecConAug:
    """Sets words of other training images behind this one, and their texts behind its text.

    All are brought to the height of the shape. A word that would make the text longer than `max_text_length`, or the
    image longer than the shape's aspect (which would squeeze it), is left out; PaddleOCR gives up at the first such
    word. Put it first in the list: what follows changes the whole line.

    Where the multi-scale sampler sets `sample["size"]`, it replaces `image_shape`.

    Args:
        prob: probability that a sample gets any.
        ext_data_num: other images tried.
        image_shape: height, width of the network's images; a third number, as PaddleOCR has it, is allowed.
        max_text_length: characters of the joined text.
        max_wh_ratio: greatest width by height of the joined image; null: that of the shape.

    Raises ValueError for values out of their range.
    """

    def __init__(
        self,
        prob: float = 0.5,
        ext_data_num: int = 1,
        image_shape: Sequence[int] = (32, 320),
        max_text_length: int = 25,
        max_wh_ratio: float | None = None,
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

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.prob:
            return sample
        height, width = sample.get("size") or self.image_shape
        most = width if self.max_wh_ratio is None else int(height * self.max_wh_ratio)
        text, total = sample["texts"][0], _width_at(sample["image"], height)
        parts: list[Image] = []
        for _ in range(self.ext_data_num):
            if total >= most or len(text) >= self.max_text_length:
                break  # nothing fits any more: no need to read another image
            other = sample["others"](rng)
            other_text, other_width = other["texts"][0], _width_at(other["image"], height)
            if len(text) + len(other_text) > self.max_text_length or total + other_width > most:
                continue
            parts.append(other["image"])
            text += other_text
            total += other_width
        if parts:
            images = [sample["image"], *parts]
            sample["image"] = np.concatenate(
                [cv2.resize(image, (_width_at(image, height), height)) for image in images], axis=1
            )
            sample["texts"] = [text]
        return sample


def _width_at(image: Image, height: int) -> int:
    return max(round(image.shape[1] / image.shape[0] * height), 1)
