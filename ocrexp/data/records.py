"""Records of label lists, made when they are asked for."""

from __future__ import annotations

import os
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

from ocrexp.data.image_names import image_path
from ocrexp.data.label_file import LabelFile, split_names
from ocrexp.data.sampler import Indices, Sampler, Size
from ocrexp.types import Record

_BATCH = 4096  # texts of other records that are given together
_LOOKED_AT = 1000  # streamed records, before training
T = TypeVar("T")


@dataclass(slots=True)
class ListPart:
    """Records of one list.

    `lines[i]` is the line of record i, by its index in the file; `which[i]` is the index among the line's images
    (None: all lines name one); `paths` has those that are not as the list writes them.
    """

    file: LabelFile
    root: Path
    list_index: int
    lines: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64] | None
    paths: dict[int, Path]

    def __len__(self) -> int:
        return len(self.lines)

    def record(self, i: int) -> Record:
        """Record i."""
        line = self.file.line(int(self.lines[i]))
        name = line.names[0 if self.which is None else int(self.which[i])]
        return Record(
            image_path=self.paths.get(i) or image_path(self.root, name),
            texts=line.texts,
            polygons=line.polygons,
            ignored=line.ignored,
            source=f"{self.file.path}:{line.line}",
            list_index=self.list_index,
        )

    def image(self, i: int) -> Path:
        """The image of record i; its label is not looked at."""
        if i in self.paths:
            return self.paths[i]
        names = split_names(self.file.packed[int(self.lines[i])].partition(b"\t")[0].decode("utf-8"))
        return image_path(self.root, names[0 if self.which is None else int(self.which[i])])

    def image_names(self) -> Iterator[str]:
        """The image of each record as the list writes it."""
        start = 0
        for chunk in self.file.chunks(self.lines):
            names = self.file.packed.names(chunk).decode("utf-8").split("\n")
            if self.which is None:
                yield from map(str.strip, names)
            else:
                which = self.which[start : start + len(chunk)].tolist()
                yield from (split_names(name)[k] for name, k in zip(names, which, strict=True))
            start += len(chunk)

    def keep(self, kept: npt.NDArray[np.bool_]) -> ListPart:
        """Those that are marked."""
        if kept.all():
            return self
        places = np.cumsum(kept) - 1
        paths = {int(places[i]): path for i, path in self.paths.items() if kept[i]}
        which = None if self.which is None else self.which[kept]
        return ListPart(self.file, self.root, self.list_index, self.lines[kept], which, paths)


class Lazy(Sequence[T]):
    """A sequence whose items are made when they are asked for."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self.several(index) if isinstance(index, slice) else self.one(index)

    @abstractmethod
    def one(self, index: int) -> T:
        """The item at an index."""

    def several(self, part: slice) -> list[T]:
        """The items of a slice."""
        return [self.one(i) for i in range(*part.indices(len(self)))]


class ListRecords(Lazy[Record]):
    """The records of several lists, one list after the other.

    Indexing parses a line; to walk over the texts, the images or the sizes of all, use the functions below.
    """

    def __init__(self, parts: Sequence[ListPart]) -> None:
        self.parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts]).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def one(self, index: int) -> Record:
        """A record."""
        part, i = self._place(index)
        return part.record(i)

    def __iter__(self) -> Iterator[Record]:
        for part in self.parts:
            yield from map(part.record, range(len(part)))

    def select(self, indices: npt.NDArray[np.int64]) -> ListRecords:
        """Those with these indices, which ascend."""
        kept = np.zeros(len(self), bool)
        kept[indices] = True
        ends = [0, *self._ends]
        return ListRecords([part.keep(kept[ends[i] : ends[i + 1]]) for i, part in enumerate(self.parts)])

    def image(self, index: int) -> Path:
        """The image of a record."""
        part, i = self._place(index)
        return part.image(i)

    def _place(self, index: int) -> tuple[ListPart, int]:
        index = range(len(self))[index]  # raises IndexError, counts negative ones from the end
        number = bisect_right(self._ends, index)
        return self.parts[number], index - (self._ends[number - 1] if number else 0)

    def uneven(self) -> tuple[int, list[int]]:
        """How many regions all records have, and the indices of those that have others than quadrilaterals without
        a crossing; the rest need not be parsed to know that none crosses itself."""
        total, found, start = 0, [], 0
        for part in self.parts:
            total += int(part.file.regions[part.lines].sum())
            found += (np.flatnonzero(~part.file.even[part.lines]) + start).tolist()
            start += len(part)
        return total, found

    def texts(self) -> Iterator[list[str]]:
        """The texts of all records in portions, of a task with one text a record."""
        for part in self.parts:
            for chunk in part.file.chunks(part.lines):
                yield part.file.texts(chunk)


class StreamedRecords(Lazy[Record]):
    """Records of which there are too many to hold: each is read when it is asked for, by an index of its sampler.

    `len` is the number of samples of an epoch. Iterating, and slices from the beginning, read one after the other and
    skip those that cannot be used; an index raises UnusableSample for such a one.
    """

    def several(self, part: slice) -> list[Record]:
        """The records of a slice from the beginning."""
        if part.start not in (None, 0) or part.step not in (None, 1) or (part.stop or 0) < 0:
            raise IndexError("streamed records have slices from the beginning only")
        return list(self) if part.stop is None else self.head(part.stop)

    @abstractmethod
    def __iter__(self) -> Iterator[Record]: ...

    @abstractmethod
    def sampler(
        self,
        turns: Sequence[tuple[Size | None, int]],
        seed: int,
        shuffle: bool,
        drop_last: bool,
        rank: int,
        world_size: int,
        ratios: Sequence[float] | None = None,
        batch_shares: Sequence[float] | None = None,
        by_ratio: bool = False,
    ) -> Sampler:
        """What gives the indices of an epoch, in an order in which they can be read.

        `turns`: image size (None: no size in particular) and number of images of this rank's batches, which take turns;
        `by_ratio`: images of similar aspect share a batch, in the narrowest of these sizes that fits them.
        `ratios`, `batch_shares`: as of lists, one number for each set of records.
        """

    @abstractmethod
    def describe(self, index: int) -> str:
        """The image and where its label stands, for messages."""

    @abstractmethod
    def stream(self, index: int) -> list[int]:
        """What tells the random numbers of an index from those of all others of its epoch."""

    @abstractmethod
    def first_turn(self, indices: Indices) -> Indices:
        """The indices of the same records where each is read for the first time in an epoch."""

    @abstractmethod
    def near(self, index: int, rng: np.random.Generator) -> int:
        """The index of another record that is read as easily; the same one only where there is no other."""

    @abstractmethod
    def spread(self, count: int) -> list[Record]:
        """Up to `count` usable records, from several places of the data; the same ones each time."""

    def head(self, count: int) -> list[Record]:
        """The first usable records."""
        return list(islice(self, count))


def some_records(records: Sequence[Record]) -> tuple[Sequence[Record], str]:
    """What is looked at before training, and a remark: all records, or the first ones of those that are streamed."""
    if not isinstance(records, StreamedRecords):
        return records, ""
    first = records.head(_LOOKED_AT)
    return first, f"only the first {len(first)} samples of the training shards were looked at before training"


def text_portions(records: Sequence[Record]) -> Iterator[list[str]]:
    """The texts of recognition records in portions; those of lists are not made into records for it."""
    if isinstance(records, ListRecords):
        yield from records.texts()
    elif isinstance(records, StreamedRecords):
        yield from (list(record.texts) for record in records)
    else:
        for start in range(0, len(records), _BATCH):
            yield [text for record in records[start : start + _BATCH] for text in record.texts]


def all_texts(records: Sequence[Record]) -> Iterable[str]:
    """The texts of recognition records, one after the other."""
    for portion in text_portions(records):
        yield from portion


class Images(Lazy[Path]):
    """The images of records."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def one(self, index: int) -> Path:
        """The image of a record."""
        if isinstance(self._records, ListRecords):
            return self._records.image(index)
        return self._records[index].image_path


def select(records: Sequence[Record], indices: npt.NDArray[np.int64]) -> Sequence[Record]:
    """The records with these indices, which ascend."""
    if isinstance(records, ListRecords):
        return records.select(indices)
    return [records[i] for i in indices.tolist()]


def image_hashes(records: Sequence[Record]) -> npt.NDArray[np.int64]:
    """A hash of the absolute path of each image, int64 [n]; links are not followed and nothing is looked up."""
    if not isinstance(records, ListRecords):
        here = str(Path.cwd())
        return np.fromiter((_absolute_hash(here, str(record.image_path)) for record in records), np.int64)
    found = np.zeros(len(records), np.int64)
    start = 0
    for part in records.parts:
        root = str(part.root.absolute())
        paths = part.image_names()
        found[start : start + len(part)] = np.fromiter(
            (_absolute_hash(root, name.replace("\\", "/") if "\\" in name else name) for name in paths), np.int64
        )
        for i, path in part.paths.items():
            found[start + i] = _absolute_hash(root, str(path.absolute()))
        start += len(part)
    return found


def _absolute_hash(folder: str, path: str) -> int:
    """The hash of a path that starts in a folder; most need no other form, and there are millions."""
    whole = path if path.startswith("/") else f"{folder}/{path}"
    if "//" in whole or "/." in whole:
        whole = "/" + os.path.normpath(whole).lstrip("/")  # POSIX keeps two slashes in front
    return hash(whole)


def list_sizes(records: Sequence[Record], lists: int) -> list[int]:
    """How many records each list has, at least `lists` numbers."""
    if isinstance(records, ListRecords):
        indices = np.repeat([part.list_index for part in records.parts], [len(part) for part in records.parts])
    else:
        indices = np.array([record.list_index for record in records])
    return np.bincount(indices.astype(np.int64), minlength=lists).tolist()


def any_drawn(records: Sequence[Record]) -> bool:
    """Whether any image is drawn again in each epoch."""
    return not isinstance(records, ListRecords | StreamedRecords) and any(record.draw is not None for record in records)
