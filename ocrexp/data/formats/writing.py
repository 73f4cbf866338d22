"""Writes entries into a new folder, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ocrexp.data.formats.entries import SPLITS, Account, Entry
from ocrexp.data.formats.writer import ResultImages, WriteOptions, Writer
from ocrexp.types import UnusableSample


@dataclass(slots=True)
class Written:
    """What was written of a part."""

    images: int = 0
    regions: int = 0
    ignored: int = 0
    texts: int = 0

    def count(self, entry: Entry, sign: int = 1) -> None:
        """Count an entry, or take it back."""
        self.images += sign
        self.regions += sign * len(entry.regions or ())
        self.ignored += sign * sum(region.ignored for region in entry.regions or ())
        self.texts += sign * ((entry.text is not None) + sum(r.text is not None for r in entry.regions or ()))

    def as_json(self) -> dict[str, int]:
        """Plain values."""
        return {"images": self.images, "regions": self.regions, "ignored": self.ignored, "texts": self.texts}


@dataclass
class PartWriters:
    """The writers of a conversion: one for each part, made when its first entry comes.

    Args:
        writer: the class of the format.
        folder: the folder that is written.
        final: its place in the end.
        names: the parts that will come.
        options, account: as Writer takes them.
    """

    writer: type[Writer]
    folder: Path
    final: Path
    names: list[str]
    options: WriteOptions
    account: Account
    written: dict[str, Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._writers: dict[str, Writer] = {}
        self._shared = ResultImages(self.folder, self.final, self.options.copy)

    def write(self, entries: Iterator[tuple[str, Entry]], advance: Callable[[str], None]) -> None:
        """Write pairs of part and entry; `advance` is called with the name of each image."""
        try:
            for part, entry in entries:
                self.add(part, entry)
                advance(entry.name)
            self.close()
        except BaseException:
            for writer in self._writers.values():
                writer.cancel()
            raise

    def close(self) -> None:
        """Complete every part."""
        for name in sorted(self._writers, key=part_order):
            self._writers[name].close()
            self._take_back(name)

    def add(self, part: str, entry: Entry) -> None:
        """Write an entry; one whose image cannot be read is counted."""
        if part not in self._writers:
            self._writers[part] = self._open(part)
        writer = self._writers[part]
        before = writer.written
        try:
            writer.add(entry)
        except UnusableSample as error:
            self._drop(entry, str(error))
            return
        if writer.written > before:
            self.written.setdefault(part, Written()).count(entry)

    def _take_back(self, part: str) -> None:
        """What could not be written of what was counted."""
        for entry, why in self._writers[part].lost:
            self._drop(entry, why)
            self.written[part].count(entry, -1)
        if part in self.written and not self.written[part].images:
            del self.written[part]

    def _drop(self, entry: Entry, why: str) -> None:
        self.account.drop("image that cannot be read", f"{entry.source}: {entry.name}: {why}")

    def _open(self, part: str) -> Writer:
        if self.writer.own_folder and len(self.names) > 1:
            folder, final = self.folder / part, self.final / part
            folder.mkdir()
            return self.writer(folder, ResultImages(folder, final, self.options.copy), part, self.options, self.account)
        return self.writer(self.folder, self._shared, part, self.options, self.account)


def part_order(name: str) -> int:
    """A key that sorts parts as usual: train, val, test."""
    return SPLITS.index(name) if name in SPLITS else len(SPLITS)


def parts_of(divided: list[str | None]) -> list[str]:
    """The parts that occur, in their usual order."""
    found = Counter(part for part in divided if part is not None)
    return sorted(found, key=part_order)
