"""SynthText: `gt.mat` with `imnames`, `wordBB` (2 × 4 × words), `charBB` and `txt` for each image.

A string of `txt` holds several words, with spaces and line ends; an image with one word has a `wordBB` of 2 × 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.mat import kept_mat
from ocrexp.errors import DataError

_NAMES = ("imnames", "wordBB", "txt")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    found = 0
    for name in folder.files(".mat"):
        path = folder.base / name
        values = kept_mat(folder, name)
        if not all(key in values for key in _NAMES):
            continue
        found += 1
        names, boxes, texts = (np.asarray(values[key], object).ravel() for key in _NAMES)
        if not len(names) == len(boxes) == len(texts):
            raise DataError(f"{path}: imnames, wordBB and txt have different lengths; copy the file again")
        for i, (image, box, text) in enumerate(zip(names, boxes, texts, strict=True), start=1):
            entry = _entry(folder, name, image, f"{path}: image {i}")
            try:
                entry.regions = _regions(box, text)
            except (ValueError, TypeError, AttributeError) as error:
                account.drop("image whose words cannot be read", f"{entry.source}: {error}")
                continue
            yield entry
    if not found:
        raise DataError(f"{folder.path}: has no .mat file with imnames, wordBB and txt; name the folder of gt.mat")


def _entry(folder: Folder, name: str, image: Any, source: str) -> Entry:
    text = str(image.ravel()[0]) if getattr(image, "size", 0) else ""
    found = folder.image(text, name)
    return Entry(folder.below(found) if found else text, found, [], source=source)


def _regions(box: Any, text: Any) -> list[Region]:
    corners = np.asarray(box, np.float64)
    if corners.ndim == 2:
        corners = corners[:, :, None]
    if corners.ndim != 3 or corners.shape[:2] != (2, 4):
        raise ValueError(f"expected wordBB of 2 × 4 × words, got {' × '.join(map(str, corners.shape))}")
    words = [word for part in np.ravel(text) for word in str(part).split()]
    if len(words) != corners.shape[2]:
        raise ValueError(f"expected a box for each of the {len(words)} words, got {corners.shape[2]}")
    quads = corners.transpose(2, 1, 0).tolist()
    return [Region([(x, y) for x, y in quad], word) for quad, word in zip(quads, words, strict=True)]


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.mat"):
        if name.rpartition("/")[2].lower() == "gt.mat":
            return Guess(0.9, f"{name} is named as SynthText's file")
    return NO


FORMATS = [
    Format("synthtext", "SynthText", DET, "gt.mat: imnames, wordBB, txt", _recognize, _read),
]
