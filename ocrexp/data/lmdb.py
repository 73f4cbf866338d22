"""Recognition data from LMDB folders in the layout of deep-text-recognition-benchmark.

Keys: `num-samples`, and for each sample, counted from 1, `image-000000001` (an image file) and `label-000000001`
(UTF-8).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.data.lmdb_file import DATA_FILE, damaged, databases
from ocrexp.data.lmdb_pages import LmdbDamaged, LmdbFile
from ocrexp.data.source import Names, Split, SplitSource, counted
from ocrexp.data.split import BY_IMAGE
from ocrexp.errors import DataError
from ocrexp.types import Record

_COUNT = b"num-samples"
_LABEL, _IMAGE = b"label-", b"image-"
_MOST_FOLDERS = 10_000  # looked through for databases
_MOST_LABEL_BYTES = 1 << 20
_MOST_DIGITS = 18  # of num-samples


class RecLmdb(SplitSource):
    """A data source of LMDB folders. A folder that is not an LMDB folder stands for all LMDB folders below it, as in
    PaddleOCR.

    Training skips entries without a valid label or without an image, and reports how many and which. Validation keeps
    an entry without an image: it counts as nothing read. Nothing is opened before records are asked for.

    Args:
        root: folder that the others are relative to.
        train, val: one folder or several.
        ratios: one number per training folder: the share of it used in an epoch, drawn again for each epoch.
        val_split: the share of the training entries that is kept for validation, where there is no database for it.
        val_split_by: what stays together: "image", "folder" (a database), or a regular expression; see
            `ocrexp.data.split`.
        val_split_seed: another one takes other entries.

    Raises:
        DataError: (later) a folder holds no LMDB or a damaged one, num-samples is missing or no number, or none of the
            entries can be used.
    """

    task = "rec"

    val_key = "val"
    usual_val = "validation"

    def __init__(
        self,
        root: str | Path,
        train: Names,
        val: Names | None = None,
        ratios: Sequence[float] | None = None,
        val_split: float | None = None,
        val_split_by: str = BY_IMAGE,
        val_split_seed: int = 0,
    ) -> None:
        super().__init__(root, train, val, ratios, val_split, val_split_by, val_split_seed)

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the labels of a split's databases."""
        records: list[Record] = []
        report: list[str] = []
        digest = hashlib.sha256()
        for list_index, part in enumerate(parts):
            for folder in lmdb_folders(self.root / part):
                found = read_lmdb(folder)
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
class LmdbLabels:
    """What an LMDB holds: good labels by number, which images are there, and what is wrong."""

    folder: Path
    count: int  # value of num-samples
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
        fate = "skipped" if split == "train" else "counted as images in which nothing was read"
        return lines + counted(f"{split}: {len(missing)} missing image(s) {fate}", missing)


def lmdb_folders(folder: Path) -> list[Path]:
    """The folder if it is an LMDB, else those below it."""
    if (folder / DATA_FILE).is_file():
        return [folder]
    give = f"give the folder that contains {DATA_FILE}"
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"LMDB folder {folder} {what}; {give}, or correct the root folder")
    if (folder / DATA_FILE).exists():
        raise DataError(f"{folder / DATA_FILE}: is not a file; give the folder of an LMDB database")
    below = []
    for number, (name, _, files) in enumerate(os.walk(folder)):
        if number == _MOST_FOLDERS:  # such as root=/
            raise DataError(f"{folder} has more than {_MOST_FOLDERS} subfolders to search for {DATA_FILE}; {give}")
        if DATA_FILE in files and (Path(name) / DATA_FILE).is_file():
            below.append(Path(name))
    if not below:
        lock = f" (it contains lock.mdb without {DATA_FILE}: copy both)" if (folder / "lock.mdb").exists() else ""
        raise DataError(f"{folder} is not an LMDB folder and contains none{lock}; {give}")
    return sorted(below)


def read_lmdb(folder: Path) -> LmdbLabels:
    """The labels of a database. Raises DataError for one that is damaged."""
    file = databases(folder)
    try:
        return _read_labels(folder, file)
    except (LmdbDamaged, OSError) as error:
        raise damaged(folder, error) from None


def _read_labels(folder: Path, file: LmdbFile) -> LmdbLabels:
    count = _count(folder, file)
    digest = hashlib.sha256(str(count).encode())
    labels: dict[int, str] = {}
    faults: dict[str, list[str]] = {}
    has_label = np.zeros(count + 1, bool)
    beyond = size = 0

    def fault(kind: str, where: str) -> None:
        faults.setdefault(kind, []).append(where)

    for number, value in _entries(file, _LABEL, values=True):
        size += len(value)
        if size > file.size:
            raise LmdbDamaged("its labels are larger than the file")
        if number is None:
            fault("label key(s) without nine digits ignored", f"{folder}:{value[:40]!r}")
            continue
        if not 1 <= number <= count:
            beyond += 1
            continue
        if len(value) > _MOST_LABEL_BYTES:
            has_label[number] = True
            fault(f"label(s) of more than {_MOST_LABEL_BYTES} bytes skipped", f"{folder}:{_key(_LABEL, number)}")
            continue
        digest.update(b"%d\t%d\t%b" % (number, len(value), value))
        has_label[number] = True
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError as error:
            where = f"{folder}:{_key(_LABEL, number)} (byte 0x{value[error.start]:02x})"
            fault("label(s) that are not UTF-8 skipped", where)
            continue
        if not text.strip():
            fault("empty label(s) skipped", f"{folder}:{_key(_LABEL, number)}")
            continue
        labels[number] = text
    # Small images lie beside their keys, so to look at all keys is to read half the file: count first.
    complete = file.entries == 1 + int(has_label.sum()) + beyond + count
    has_image = np.full(count + 1, complete)
    if not complete:
        for number, _ in _entries(file, _IMAGE, values=False):
            if number is not None and 1 <= number <= count:
                has_image[number] = True
    absent = (np.flatnonzero(~has_label[1:]) + 1).tolist()
    if absent:
        last = int(np.flatnonzero(has_label)[-1]) if has_label.any() else 0
        kind = f"entries without a label skipped (num-samples is {count}, the last label is {last})"
        faults[kind] = [f"{folder}:{_key(_LABEL, number)}" for number in absent]
    if beyond:
        faults[f"label(s) beyond num-samples={count} ignored"] = [str(folder)] * beyond
    return LmdbLabels(folder, count, digest.digest(), labels, has_image, faults)


def _count(folder: Path, file: LmdbFile) -> int:
    raw = file.get(_COUNT)
    entries = file.entries
    if raw is None:
        raise DataError(
            f"{folder} has no key num-samples ({entries} other keys); write the number of samples to it, or create the "
            "database again with deep-text-recognition's create_lmdb_dataset.py"
        )
    try:
        count = int(raw) if len(raw) <= _MOST_DIGITS else -1
    except ValueError:
        count = -1
    if count < 1:
        raise DataError(
            f"num-samples of {folder}: expected a number above 0, got {raw[:20].decode(errors='replace')!r}; write the "
            "number of samples to it"
        )
    if count > entries:  # tables of that length would be made
        raise DataError(
            f"num-samples of {folder} is {count}, but the database has {entries} keys, two for each sample; write the "
            "number of samples to it"
        )
    return count


def _entries(file: LmdbFile, prefix: bytes, values: bool) -> Iterator[tuple[int | None, bytes]]:
    """Number and value (b"" without `values`) of the keys with a prefix, in their order.

    A key that no reader would look for has no number, and itself as the value. Raises LmdbDamaged.
    """
    for key, value in file.items(prefix, values=values):
        number = key.removeprefix(prefix)
        if len(number) == len(key):
            return
        if len(number) <= _MOST_DIGITS and number.isdigit() and number == b"%09d" % int(number):
            yield int(number), value
        else:
            yield None, key


def _key(prefix: bytes, number: int) -> str:
    return f"{prefix.decode()}{number:09d}"
