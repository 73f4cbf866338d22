"""IIIT5K-Words: `trainCharBound.mat` (`chars`) and `traindata.mat` (`GroundTruth`), and the same for testing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ocrexp.data.formats.base import REC, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.mat import kept_mat
from ocrexp.errors import DataError

_FILE = r"(?:train|test)(?:CharBound|data)\.mat"
_TEXTS = ("chars", "GroundTruth")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    seen: set[str] = set()
    names = folder.files(".mat") if folder.only else sorted(folder.like(_FILE))  # CharBound, whose case is right, first
    for name in names:
        path = folder.base / name
        split = "train" if name.rpartition("/")[2].startswith("train") else "test"
        for key, rows in kept_mat(folder, name).items():
            fields = getattr(getattr(rows, "dtype", None), "names", None) or ()
            text_key = next((text for text in _TEXTS if text in fields), None)
            if "ImgName" not in fields or text_key is None:
                raise DataError(f"{path}: {key} has no ImgName with chars or GroundTruth; is it a file of IIIT5K?")
            for i, row in enumerate(np.ravel(rows), start=1):
                image, text = _cell(row["ImgName"]), _cell(row[text_key])
                if not image:
                    account.drop("word without an image name", f"{path}: {key} {i}")
                    continue
                if image in seen:
                    continue  # the other file of the same words
                seen.add(image)
                yield Entry(image, folder.image(image, name), None, text, split=split, source=f"{path}: {key} {i}")


def _cell(value: Any) -> str:
    return str(value.ravel()[0]) if getattr(value, "size", 0) else ""


def _recognize(folder: Folder) -> Guess:
    names = folder.like(_FILE)
    return Guess(0.95, f"{names[0]} is named as its files") if names else NO


FORMATS = [
    Format("iiit5k", "IIIT5K-Words", REC, "trainCharBound.mat (chars), traindata.mat (GroundTruth)", _recognize, _read),
]
