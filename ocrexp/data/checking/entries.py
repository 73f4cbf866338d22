"""The labeled images of one list or one database, as a check looks at them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.problems import Place
from ocrexp.data.label_file import LabelFile
from ocrexp.data.label_format import LabelLine, LabelProblem
from ocrexp.data.lmdb_file import is_entry
from ocrexp.data.records import ListPart, ListRecords, image_hashes
from ocrexp.data.shards.shard_files import has_image
from ocrexp.files import exists
from ocrexp.types import Record

Hashes = npt.NDArray[np.int64]
_PORTION = 4096


class Entries(ABC):
    """Labeled images, in order; entry i has one image.

    Attributes:
        split: "train" or "val".
        path: of the list or database.
        exists: which images exist, bool [n].
    """

    split: str
    path: Path
    exists: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.exists)

    @abstractmethod
    def texts(self) -> Iterator[list[str]]:
        """The texts of all entries in portions; of a task with one text per image."""

    @abstractmethod
    def text(self, i: int) -> str:
        """The text of an entry."""

    @abstractmethod
    def line(self, i: int) -> int:
        """The number of an entry's line, or of its key."""

    @abstractmethod
    def find(self, line: int) -> int | None:
        """The first entry of a line, or of a key; None if it has none."""

    @abstractmethod
    def image(self, i: int) -> Path:
        """The image of an entry."""

    @abstractmethod
    def hashes(self) -> Hashes:
        """A hash of the absolute path of each image, int64 [n]."""

    def regions(self, i: int) -> tuple[LabelLine, list[LabelProblem]]:
        """The regions of an entry, and those without area. Raises TypeError where entries have one text."""
        raise TypeError(f"{self.path} has one text per image; entry {i} has no regions")

    def place(self, i: int) -> Place:
        """Where an entry is."""
        return Place(self.split, str(self.path), self.line(i))


@dataclass
class ListEntries(Entries):
    """The good lines of a list; `bad` are numbers of the others."""

    split: str
    part: ListPart
    exists: npt.NDArray[np.bool_]
    converted: dict[str, int] = field(default_factory=dict)  # what reading has corrected: kind → lines
    bad: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = self.part.file.path

    @property
    def file(self) -> LabelFile:
        """The list."""
        return self.part.file

    def texts(self) -> Iterator[list[str]]:
        """The texts of all entries in portions."""
        for chunk in self.file.chunks(self.part.lines):
            yield self.file.texts(chunk)

    def text(self, i: int) -> str:
        """The text of an entry."""
        return self.file.line(int(self.part.lines[i])).texts[0]

    def line(self, i: int) -> int:
        """The number of an entry's line."""
        return int(self.file.packed.numbers[self.part.lines[i]])

    def find(self, line: int) -> int | None:
        """The first entry of a line."""
        return _find(self.file.packed.numbers[self.part.lines], line)

    def image(self, i: int) -> Path:
        """The image of an entry."""
        return self.part.image(i)

    def hashes(self) -> Hashes:
        """A hash of the absolute path of each image."""
        return image_hashes(ListRecords([self.part]))

    def regions(self, i: int) -> tuple[LabelLine, list[LabelProblem]]:
        """The regions of an entry, and those without area."""
        return self.file.parsed(int(self.part.lines[i]))


@dataclass
class LmdbEntries(Entries):
    """The entries of an LMDB database with good labels, by number."""

    split: str
    path: Path
    numbers: npt.NDArray[np.int64]
    labels: list[str]
    exists: npt.NDArray[np.bool_]

    def texts(self) -> Iterator[list[str]]:
        """The texts of all entries in portions."""
        for start in range(0, len(self.labels), _PORTION):
            yield self.labels[start : start + _PORTION]

    def text(self, i: int) -> str:
        """The text of an entry."""
        return self.labels[i]

    def line(self, i: int) -> int:
        """The number of an entry's key."""
        return int(self.numbers[i])

    def find(self, line: int) -> int | None:
        """The entry of a key."""
        return _find(self.numbers, line)

    def image(self, i: int) -> Path:
        """The path that names the entry's image."""
        return self.path / f"image-{int(self.numbers[i]):09d}"

    def hashes(self) -> Hashes:
        """A hash of the absolute path of each image."""
        return image_hashes([Record(self.image(i), ("",)) for i in range(len(self))])


class RecordEntries(Entries):
    """Records of any source, such as a reader of another format; it has reported its own bad lines."""

    def __init__(self, split: str, path: Path, records: Sequence[Record]) -> None:
        self.split = split
        self.path = path
        self.records = records
        self.exists = np.fromiter(
            (
                exists(record.image_path) or is_entry(record.image_path) or has_image(record.image_path)
                for record in records
            ),
            bool,
        )

    def texts(self) -> Iterator[list[str]]:
        """The texts of all entries in portions."""
        for start in range(0, len(self.records), _PORTION):
            yield [record.texts[0] for record in self.records[start : start + _PORTION]]

    def text(self, i: int) -> str:
        """The text of an entry."""
        return self.records[i].texts[0]

    def line(self, i: int) -> int:
        """The number of the line that the record's source states; 0 without one."""
        return self.place(i).line

    def find(self, line: int) -> int | None:
        """None: lines of several files have the same numbers."""
        del line
        return None

    def image(self, i: int) -> Path:
        """The image of an entry."""
        return self.records[i].image_path

    def hashes(self) -> Hashes:
        """A hash of the absolute path of each image."""
        return image_hashes(self.records)

    def regions(self, i: int) -> tuple[LabelLine, list[LabelProblem]]:
        """The regions of an entry."""
        record = self.records[i]
        return LabelLine(0, (str(record.image_path),), record.texts, record.polygons, record.ignored), []

    def place(self, i: int) -> Place:
        """Where a record is: the file and line of its source, else the image."""
        source = self.records[i].source
        file, _, line = source.rpartition(":")
        if line.isdigit():
            return Place(self.split, file, int(line))
        return Place(self.split, source or str(self.records[i].image_path))


def _find(numbers: npt.NDArray[Any], wanted: int) -> int | None:
    place = int(np.searchsorted(numbers, wanted))
    return place if place < len(numbers) and numbers[place] == wanted else None
