"""Reading an LMDB database for a check."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ocrexp.data.checking.encoding import Digest
from ocrexp.data.checking.entries import LmdbEntries
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.lmdb import read_lmdb


def read_database(folder: Path, split: str, problems: Problems, digest: Digest) -> LmdbEntries:
    """The entries of a database with good labels; reports the others. Raises DataError for one that is damaged."""
    found = read_lmdb(folder)
    digest.update(found.digest)
    for kind, places in found.faults.items():
        for where in places:
            key = where.removeprefix(f"{folder}:").removeprefix("label-")
            number = int(key[:9]) if key[:9].isdigit() else 0
            problems.add("lmdb-entry", Place(split, str(folder), number), f"{kind}: {where}")
    numbers = np.array(sorted(found.labels), np.int64)
    entries = LmdbEntries(
        split, folder, numbers, [found.labels[i] for i in numbers.tolist()],
        found.has_image[numbers] if len(numbers) else np.zeros(0, bool),
    )  # fmt: skip
    for i in np.flatnonzero(~entries.exists).tolist():
        problems.add("image-missing", entries.place(i), f"image {entries.image(i)} does not exist", "")
    return entries
