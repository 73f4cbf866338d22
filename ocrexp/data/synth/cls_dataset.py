"""`dataset=synth_cls`: drawn words turned by the angle of their label, to train a direction classifier."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrexp.data.source import OfTask
from ocrexp.data.synth import cache
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.synth.rec_word import Word
from ocrexp.data.synth.words import SPLITS, Split
from ocrexp.data.targets.classes import checked_labels
from ocrexp.types import Image, Record


class SynthCls(OfTask):
    """A drawn classification dataset (DataSource): the words of a drawn recognition dataset, turned.

    The labels take turns, so that each has the same share. The images are kept in the same cache as the words'.

    Args:
        words: what draws the words (`dataset=synth_rec`); its `endless` is not used.
        labels: angles in degrees by which the text is turned clockwise, as texts ("0", "180"); any number of them.

    Raises ValueError for a label that is not a number.
    """

    task = "cls"

    def __init__(self, words: SynthRec, labels: Sequence[str] = ("0", "180")) -> None:
        self.labels = checked_labels(labels)
        try:
            self._angles = [float(label) for label in self.labels]
        except ValueError:
            raise ValueError(
                f"labels: expected angles in degrees such as '0' and '180' for drawn words, got {self.labels}"
            ) from None
        self._words = words

    def draw(self, split: Split, index: int) -> Word:
        """One turned word, its label in place of its text; always the same for the same arguments."""
        word = self._words.draw(split, index)
        number = index % len(self.labels)
        return replace(word, image=turned(word.image, self._angles[number]), text=self.labels[number])

    @property
    def counts(self) -> dict[Split, int]:
        """Images of each split."""
        return self._words.counts

    @property
    def workers(self) -> int:
        """Drawing processes."""
        return self._words.workers

    def description(self) -> dict[str, Any]:
        """All that shapes the images, as plain values. Raises DataError."""
        return {**self._words.settings(self._words.counts), "labels": self.labels}

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of the drawn images; draws them first where the cache lacks them. Raises DataError."""
        settings = self.description()
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        return cache.obtain(self._words.cache, f"cls-{digest[:16]}", self.counts, settings, self.draw, self.workers)

    def write(self, folder: Path) -> None:
        """Draw the images into a new folder outside of the cache. Raises DataError."""
        cache.write(folder, self.counts, self.description(), self.draw, self.workers)

    def _records(self, split: Split) -> list[Record]:
        source = self.folder / cache.list_name(split)
        lines = source.read_text(encoding="utf-8").splitlines()
        records = []
        for number, line in enumerate(lines, 1):
            name, label = line.split("\t")
            records.append(Record(self.folder / name, (label,), source=f"{source}:{number}"))
        return records

    def train_records(self) -> list[Record]:
        """The training images. Raises DataError if they cannot be drawn."""
        return self._records("train")

    def val_records(self) -> list[Record]:
        """The validation images. Raises DataError if they cannot be drawn."""
        return self._records("val")

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the label lists and the number of images, of each split."""
        prints: dict[str, str] = {}
        for split in SPLITS:
            listed = hashlib.sha256((self.folder / cache.list_name(split)).read_bytes()).hexdigest()
            prints |= {f"{split}_sha256": listed, f"{split}_count": str(self.counts[split])}
        return prints

    def report(self) -> list[str]:
        """Characters, words and kinds of text that cannot be drawn."""
        return self._words.report()


def turned(image: Image, angle: float) -> Image:
    """The image turned clockwise by `angle` degrees; the frame grows to hold all of it, its rim repeats the edge."""
    quarters, rest = divmod(angle % 360, 90)
    if not rest:
        return np.ascontiguousarray(np.rot90(image, -int(quarters)))
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (round(width * cosine + height * sine), round(width * sine + height * cosine))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
