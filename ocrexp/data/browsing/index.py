"""The samples of a data set as arrays: one number per sample, training first."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from ocrexp.data.browsing.search import SEPARATOR, pack
from ocrexp.data.image_size import read_size, read_sizes
from ocrexp.data.records import Images, ListRecords, text_portions
from ocrexp.types import Record

_PORTION = 2048


class DataIndex:
    """Texts, lengths and sizes of all samples.

    A sample's number is its index among the records of training, then of validation. `read_texts` and `read_sizes`
    fill the arrays, in another thread where that takes long; until then a length is -1 and a size 0.

    Args:
        splits: records of "train" and "val".
        task: "det", "rec" or "cls".

    Attributes:
        lengths: characters of the text; of detection, regions; int32 [n].
        heights, widths: of the upright images, in pixels, int32 [n].
        texts_known, sizes_known: number of samples that have been read.
    """

    def __init__(self, splits: Mapping[str, Sequence[Record]], task: str) -> None:
        self.splits = dict(splits)
        self.task = task
        self._ends = np.cumsum([len(records) for records in self.splits.values()])
        self.count = int(self._ends[-1]) if len(self._ends) else 0
        self.lengths = np.full(self.count, -1, np.int32)
        self.heights = np.zeros(self.count, np.int32)
        self.widths = np.zeros(self.count, np.int32)
        self.texts_known = self.sizes_known = 0
        self._texts: list[str] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def range_of(self, split: str) -> range:
        """The numbers of a split's samples."""
        place = list(self.splits).index(split)
        return range(int(self._ends[place - 1]) if place else 0, int(self._ends[place]))

    def number(self, split: str, index: int) -> int:
        """The number of a sample. Raises IndexError if there is no such sample."""
        if split not in self.splits:
            raise IndexError(split)
        numbers = self.range_of(split)
        if not 0 <= index < len(numbers):
            raise IndexError(index)
        return numbers[index]

    def place(self, number: int) -> tuple[str, int]:
        """Split and index of a sample."""
        at = int(np.searchsorted(self._ends, number, "right"))
        return list(self.splits)[at], number - (int(self._ends[at - 1]) if at else 0)

    def record(self, number: int) -> Record:
        """The record of a sample."""
        split, index = self.place(number)
        return self.splits[split][index]

    def packed_texts(self) -> tuple[str, int]:
        """The texts that have been read, see `ocrexp.data.browsing.search.pack`; and of how many samples."""
        with self._lock:
            self._texts = [SEPARATOR.join(self._texts)] if self._texts else []
            return "".join(self._texts), self.texts_known

    def read_texts(self, stop: threading.Event | None = None) -> None:
        """Read all texts and lengths: seconds for 100 000 pages, less than one for 100 000 words."""
        for records in self.splits.values():
            for portion in self._portions(records):
                if stop is not None and stop.is_set():
                    return
                known = self.texts_known
                counts = map(len, portion) if self.task == "det" else (len(texts[0]) for texts in portion)
                self.lengths[known : known + len(portion)] = np.fromiter(counts, np.int32, len(portion))
                packed = pack(portion)
                with self._lock:
                    self._texts.append(packed)
                    self.texts_known = known + len(portion)

    def _portions(self, records: Sequence[Record]) -> Iterable[Sequence[Sequence[str]]]:
        if self.task != "det" and isinstance(records, ListRecords):
            for texts in text_portions(records):
                yield [(text,) for text in texts]
            return
        rest = iter(records)
        while portion := [record.texts for record in islice(rest, _PORTION)]:
            yield portion

    def read_sizes(self, stop: threading.Event) -> None:
        """Read the sizes of all images from their headers; those that are drawn in each epoch have none."""
        for split, records in self.splits.items():
            images, first = Images(records), self.range_of(split).start
            for start in range(0, len(records), _PORTION):
                if stop.is_set():
                    return
                end = min(start + _PORTION, len(records))
                sizes = np.nan_to_num(read_sizes([images[i] for i in range(start, end)])).astype(np.int32)
                self.heights[first + start : first + end] = sizes[:, 0]
                self.widths[first + start : first + end] = sizes[:, 1]
                self.sizes_known += end - start

    def size(self, number: int) -> tuple[int, int]:
        """Height and width of an image, (0, 0) where it cannot be read; its header is read if that is still to come."""
        if not self.heights[number]:
            split, index = self.place(number)
            found = read_size(Images(self.splits[split])[index])
            self.heights[number], self.widths[number] = found or (0, 0)
        return int(self.heights[number]), int(self.widths[number])
