"""Recognition data from LMDB folders in the layout of deep-text-recognition-benchmark.

Keys: `num-samples`, and for each sample, counted from 1, `image-000000001` (an image file) and `label-000000001`
(UTF-8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ocrexp.data.lmdb_file import DATA_FILE, environment
from ocrexp.data.source import Names, Split, SplitSource, counted
from ocrexp.errors import DataError
from ocrexp.types import Record

if TYPE_CHECKING:
    import lmdb

_COUNT = b"num-samples"
_LABEL, _IMAGE = b"label-", b"image-"


class RecLmdb(SplitSource):
    """A data source of LMDB folders. A folder that is none stands for all below it, as PaddleOCR takes them.

    Training leaves out entries without a good label or without an image, and says how many and which. Validation keeps
    an entry without an image: it counts as nothing read. Nothing is opened before records are asked for.

    Args:
        root: folder that the others are relative to.
        train, val: one folder or several.
        ratios: one number a training folder: the share of it used in an epoch, drawn anew each time.

    Raises:
        DataError: (later) a folder holds no LMDB or a damaged one, num-samples is missing or no number, or none of the
            entries can be used.
    """

    task = "rec"

    def __init__(self, root: str | Path, train: Names, val: Names, ratios: Sequence[float] | None = None) -> None:
        super().__init__(root, train, val, ratios)

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the labels of a split's databases."""
        records: list[Record] = []
        report: list[str] = []
        digest = hashlib.sha256()
        for list_index, part in enumerate(parts):
            for folder in _databases(self.root / part):
                found = _read(folder)
                digest.update(found.digest)
                kept = [i for i in found.labels if split == "val" or found.has_image[i]]
                if not kept:
                    first = next(iter(found.faults.values()), [f"{folder}:image-000000001 is missing"])[0]
                    raise DataError(f"none of the {found.count} entries of {folder} can be used, the first: {first}")
                records += [
                    Record(
                        image_path=folder / _key(_IMAGE, i),
                        texts=(found.labels[i],),
                        source=f"{folder}:{_key(_LABEL, i)}",
                        list_index=list_index,
                    )
                    for i in kept
                ]
                report += found.lines(split)
        return Split(records, digest.hexdigest(), report)


@dataclass(slots=True)
class _Database:
    """What an LMDB holds: good labels by number, which images are there, and what is wrong."""

    folder: Path
    count: int  # what num-samples says
    digest: bytes
    labels: dict[int, str]
    has_image: npt.NDArray[np.bool_]  # [count + 1], by number
    faults: dict[str, list[str]] = field(default_factory=dict)  # kind -> places

    def lines(self, split: str) -> list[str]:
        """The report."""
        lines = [
            line for kind, places in self.faults.items() for line in counted(f"{split}: {len(places)} {kind}", places)
        ]
        missing = [str(self.folder / _key(_IMAGE, i)) for i in self.labels if not self.has_image[i]]
        fate = "left out" if split == "train" else "counted as nothing read"
        return lines + counted(f"{split}: {len(missing)} missing image(s) {fate}", missing)


def _databases(folder: Path) -> list[Path]:
    """The folder if it is an LMDB, else those below it."""
    if (folder / DATA_FILE).is_file():
        return [folder]
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"LMDB folder {folder} {what}: give the folder that holds {DATA_FILE}, or set dataset.root")
    below = sorted(path.parent for path in folder.rglob(DATA_FILE))
    if not below:
        raise DataError(f"{folder} is not an LMDB folder, nor is one below it: give the folder that holds {DATA_FILE}")
    return below


def _read(folder: Path) -> _Database:
    with environment(folder).begin() as transaction:
        count = _count(folder, transaction)
        digest = hashlib.sha256(str(count).encode())
        labels: dict[int, str] = {}
        faults: dict[str, list[str]] = {}
        has_label = np.zeros(count + 1, bool)
        beyond = 0

        def fault(kind: str, where: str) -> None:
            faults.setdefault(kind, []).append(where)

        for number, value in _entries(transaction, _LABEL, values=True):
            if not 1 <= number <= count:
                beyond += 1
                continue
            digest.update(b"%d\t%d\t%b" % (number, len(value), value))
            has_label[number] = True
            try:
                text = value.decode("utf-8")
            except UnicodeDecodeError as error:
                where = f"{folder}:{_key(_LABEL, number)} (byte 0x{value[error.start]:02x})"
                fault("label(s) that are not UTF-8 left out", where)
                continue
            if not text.strip():
                fault("empty label(s) left out", f"{folder}:{_key(_LABEL, number)}")
                continue
            labels[number] = text
        # Small images lie beside their keys, so to look at all keys is to read half the file: count first.
        complete = transaction.stat()["entries"] == 1 + int(has_label.sum()) + beyond + count
        has_image = np.full(count + 1, complete)
        if not complete:
            for number, _ in _entries(transaction, _IMAGE, values=False):
                if 1 <= number <= count:
                    has_image[number] = True
    absent = (np.flatnonzero(~has_label[1:]) + 1).tolist()
    if absent:
        last = int(np.flatnonzero(has_label)[-1]) if has_label.any() else 0
        kind = f"entries without a label left out (num-samples is {count}, the last label {last})"
        faults[kind] = [f"{folder}:{_key(_LABEL, number)}" for number in absent]
    if beyond:
        faults[f"label(s) beyond num-samples={count} ignored"] = [str(folder)] * beyond
    return _Database(folder, count, digest.digest(), labels, has_image, faults)


def _count(folder: Path, transaction: lmdb.Transaction) -> int:
    raw = transaction.get(_COUNT)
    if raw is None:
        raise DataError(
            f"{folder} has no key num-samples ({transaction.stat()['entries']} other keys): write the number of "
            "samples there, or make it again with deep-text-recognition's create_lmdb_dataset.py"
        )
    try:
        count = int(raw)
    except ValueError:
        count = -1
    if count < 1:
        raise DataError(f"num-samples of {folder} is {raw[:20]!r}: write the number of samples there")
    return count


def _entries(transaction: lmdb.Transaction, prefix: bytes, values: bool) -> Iterator[tuple[int, bytes]]:
    """Number and value (b"" without `values`) of the keys with a prefix, in their order."""
    cursor = transaction.cursor()
    if not cursor.set_range(prefix):
        return
    items = cursor.iternext() if values else ((key, b"") for key in cursor.iternext(values=False))
    for key, value in items:
        number = bytes(key).removeprefix(prefix)
        if len(number) == len(key):
            return
        if number.isdigit():
            yield int(number), bytes(value)


def _key(prefix: bytes, number: int) -> str:
    return f"{prefix.decode()}{number:09d}"
