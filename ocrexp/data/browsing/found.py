"""The problems that a check finds, by sample."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.browsing.index import DataIndex
from ocrexp.data.browsing.query import ANY
from ocrexp.data.checking.kinds import KINDS, SEVERITIES
from ocrexp.data.records import ListRecords
from ocrexp.types import Record

_MOST_PLACES = 200  # of a kind that are of no sample
_KEY = re.compile(r"\d+$")
_Lines = dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]  # file → ascending lines, their samples


@dataclass(frozen=True, slots=True)
class Found:
    """A problem with its place, as `check_data.json` has them."""

    kind: str
    split: str
    file: str
    line: int
    what: str
    advice: str


@dataclass
class FoundProblems:
    """Collects problems while a check runs; may be used by several threads.

    A problem belongs to the samples of its line. Bad lines and missing images of training are no samples: these
    problems are kept with their places.

    Args:
        index: of the data set.
        divided: whether training and validation are parts of the same lists (`val_split`).

    Attributes:
        state: what the check does, in words; "" before it has begun.
        running: whether there is more to come.
        counts: (kind, split) → how many there are, of which the first ones are kept.
        version: rises with each change.
    """

    index: DataIndex
    divided: bool = False
    state: str = ""
    running: bool = False
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    version: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, set[int]] = {}
        self._of: dict[int, list[Found]] = {}
        self._elsewhere: dict[str, list[str]] = {}
        self._lines: dict[str, _Lines] = {}

    def add(self, problems: Sequence[Found]) -> None:
        """Add problems, of known kinds."""
        with self._lock:
            for found in problems:
                numbers = self._samples(found)
                for number in numbers:
                    self._of.setdefault(number, []).append(found)
                    self._numbers.setdefault(found.kind, set()).add(number)
                places = self._elsewhere.setdefault(found.kind, [])
                if not numbers and len(places) < _MOST_PLACES:
                    where = f"{found.file}:{found.line}" if found.line else found.file
                    places.append(f"{where}: {found.what}" + (f"; {found.advice}" if found.advice else ""))
            self.version += 1

    def count(self, counts: Counter[tuple[str, str]]) -> None:
        """Set how many problems of each kind and split there are."""
        with self._lock:
            self.counts = counts
            self.version += 1

    def numbers(self, kind: str) -> npt.NDArray[np.int64]:
        """The samples with a problem of a kind, or with any that is more than a note."""
        with self._lock:
            if kind == ANY:
                some = {n for name, found in self._numbers.items() if KINDS[name].severity != "note" for n in found}
            else:
                some = self._numbers.get(kind, set())
            return np.fromiter(some, np.int64, len(some))

    def of(self, number: int) -> list[dict[str, str]]:
        """The problems of a sample, for a page."""
        with self._lock:
            return [
                {
                    "kind": found.kind,
                    "severity": KINDS[found.kind].severity,
                    "title": KINDS[found.kind].title,
                    "what": found.what,
                    "advice": found.advice,
                }
                for found in self._of.get(number, ())
            ]

    def elsewhere(self, kind: str) -> list[str]:
        """Problems of a kind that are of no sample, with their places."""
        with self._lock:
            return list(self._elsewhere.get(kind, ()))

    def kinds(self) -> list[dict[str, Any]]:
        """The kinds that were found, the most severe and frequent first."""
        with self._lock:
            totals = Counter[str]()
            for (kind, _), count in self.counts.items():
                totals[kind] += count
            order = sorted(totals, key=lambda name: (SEVERITIES.index(KINDS[name].severity), -totals[name]))
            return [
                {
                    "name": name,
                    "title": KINDS[name].title,
                    "severity": KINDS[name].severity,
                    "count": totals[name],
                    "samples": len(self._numbers.get(name, ())),
                }
                for name in order
            ]

    def _samples(self, found: Found) -> list[int]:
        """The samples of the line that a problem is about."""
        file, line = found.file, found.line
        if not line:  # the whole list, or an entry of a database
            file, line = _place_of(found.file)
        if not line:
            return []
        for split in self.index.splits if self.divided else (found.split,):
            if split not in self.index.splits:
                continue
            if split not in self._lines:
                self._lines[split] = _lines_of(self.index.splits[split], self.index.range_of(split).start)
            lines, numbers = self._lines[split].get(_absolute(file), (np.zeros(0, np.int64),) * 2)
            first, last = np.searchsorted(lines, [line, line + 1])
            if last > first:
                return [int(number) for number in numbers[first:last]]
        return []


def _lines_of(records: Sequence[Record], start: int) -> _Lines:
    if isinstance(records, ListRecords):
        found: _Lines = {}
        for part in records.parts:
            numbers = np.arange(start, start + len(part))
            found[_absolute(str(part.file.path))] = part.file.packed.numbers[part.lines].astype(np.int64), numbers
            start += len(part)
        return found
    places: dict[str, tuple[list[int], list[int]]] = {}
    for number, record in enumerate(records, start):
        file, line = _place_of(record.source)
        lines, numbers_of = places.setdefault(_absolute(file), ([], []))
        lines.append(line)
        numbers_of.append(number)
    result = {}
    for file, (lines, numbers_of) in places.items():
        order = np.argsort(lines, kind="stable")
        result[file] = np.array(lines, np.int64)[order], np.array(numbers_of, np.int64)[order]
    return result


def _place_of(source: str) -> tuple[str, int]:
    """File and number of `list.txt:12` or `folder:label-000000012`; 0 without one."""
    file, _, line = source.rpartition(":")
    digits = _KEY.search(line)
    return (file, int(digits[0])) if file and digits else (source, 0)


def _absolute(file: str) -> str:
    return str(Path(file).absolute())
