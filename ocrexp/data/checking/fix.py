"""Corrected lists beside the originals: nothing that exists is changed, and each corrected list gets a new name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ocrexp.data.checking.delimiter import divide, second_image
from ocrexp.data.checking.entries import ListEntries
from ocrexp.data.checking.fix_regions import PageSize, fixed_regions
from ocrexp.data.checking.fix_text import TextFixer
from ocrexp.data.checking.json_repair import repair
from ocrexp.data.checking.kinds import KINDS
from ocrexp.data.checking.lines import is_header
from ocrexp.data.checking.plan import DataFindings
from ocrexp.files import write_new


@dataclass
class FixedList:
    """A corrected list.

    Attributes:
        original, path: the list, and the new file.
        changed: how many lines are different, by the kind of problem.
        removed: how many lines are not in it.
    """

    original: Path
    path: Path
    changed: Counter[str] = field(default_factory=Counter)
    removed: int = 0
    lines: int = 0


def write_fixed(findings: DataFindings, kinds: Collection[str] | None = None) -> list[FixedList]:
    """Write a corrected list for each one that has problems of these kinds (None: all that can be corrected).

    Raises OSError where a folder cannot be written.
    """
    wanted = {name for name, kind in KINDS.items() if kind.fixed and (kinds is None or name in kinds)}
    found = []
    for number, one in enumerate(findings.entries):
        if isinstance(one, ListEntries):
            fixer = _ListFixer(findings, number, one, wanted)
            rows = list(fixer.lines())
            if fixer.changed or fixer.removed:
                path = _put(one.path, "".join(f"{row}\n" for row in rows))
                found.append(FixedList(one.path, path, fixer.changed, fixer.removed, len(rows)))
    return found


def _put(original: Path, content: str) -> Path:
    """Write the content to `NAME.fixed.txt`, or `NAME.fixed_2.txt`, … where the name is taken."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        path = original.with_name(f"{original.stem}.fixed{suffix}{original.suffix or '.txt'}")
        if write_new(path, content):
            return path
        number += 1


class _ListFixer:
    """Corrects the lines of a list, one after the other."""

    def __init__(self, findings: DataFindings, number: int, entries: ListEntries, wanted: set[str]) -> None:
        self.changed: Counter[str] = Counter()
        self.removed = 0
        self._task = findings.plan.task
        self._entries = entries
        self._wanted = wanted
        self._texts = TextFixer(dict(findings.characters), wanted)
        self._sizes = self._page_sizes(findings, number) if self._task == "det" and findings.plan.images else {}
        self._seen: set[int] = set()

    def lines(self) -> Iterator[str]:
        """The corrected lines."""
        packed = self._entries.file.packed
        self.changed.update({kind: count for kind, count in self._entries.converted.items() if kind in self._wanted})
        for i, number in enumerate(packed.numbers.tolist()):
            try:
                line = packed[i].decode("utf-8")
            except UnicodeDecodeError:
                self.removed += 1
                continue
            for path, label in self._divided(line, i == 0):
                fixed = self._label(label, number)
                key = hash((path, fixed))
                if "line-duplicate" in self._wanted and key in self._seen and fixed is not None:
                    self.changed["line-duplicate"] += 1
                    self.removed += 1
                    continue
                self._seen.add(key)
                yield path if fixed is None else f"{path}\t{fixed}"

    def _divided(self, line: str, first: bool) -> Iterator[tuple[str, str | None]]:
        """Paths and labels of a line; a label of None: the line stays as it is."""
        if first and "line-header" in self._wanted and is_header(line.replace(",", "\t").split("\t")[0]):
            self.changed["line-header"] += 1
            self.removed += 1
            return
        path, tab, label = line.partition("\t")
        if not tab:
            divided = divide(line) if "line-delimiter" in self._wanted else None
            if divided is None:
                yield line, None
                return
            self.changed["line-delimiter"] += 1
            path, label = divided.path, divided.label
        if self._task != "det" and "\t" in label:
            joined = second_image(label, path)
            if joined is not None and "line-joined" in self._wanted:
                self.changed["line-joined"] += 1
                yield path, joined[0]
                yield joined[1], joined[2]
                return
            columns = [column for column in label.split("\t") if column.strip()]
            kind = "line-columns" if len(columns) > 1 else "line-tabs"
            if columns and kind in self._wanted:
                self.changed[kind] += 1
                label = columns[0]
        yield from self._repaired(path, label)

    def _repaired(self, path: str, label: str) -> Iterator[tuple[str, str]]:
        """The images of a line whose JSON was repaired."""
        if self._task == "det" and label.lstrip()[:1] in ("[", "{", "("):
            try:
                whole = isinstance(json.loads(label), list)
            except (ValueError, RecursionError):
                whole = False
            repaired = None if whole else repair(label)
            if repaired is not None and set(repaired.kinds) <= self._wanted:
                self.changed.update(repaired.kinds)
                yield path, repaired.label
                yield from repaired.others
                return
        yield path, label

    def _label(self, label: str | None, number: int) -> str | None:
        if label is None:
            return None
        if self._task == "det":
            fixed, kinds = fixed_regions(label, self._sizes.get(number), self._texts, self._wanted)
        elif self._task == "cls":
            fixed, kinds = label.strip(), ["text-spaces"] if label != label.strip() else []
        else:
            fixed, kinds = self._texts(label)
        self.changed.update(kinds)
        return fixed

    def _page_sizes(self, findings: DataFindings, number: int) -> dict[int, PageSize]:
        """Line number → size and rotation of its image."""
        table = findings.images
        assert table is not None
        sizes = {}
        for i, row in enumerate(findings.rows[number].tolist()):
            if row >= 0 and table.height[row]:
                sizes[self._entries.line(i)] = PageSize(
                    int(table.height[row]), int(table.width[row]), int(table.orientation[row])
                )
        return sizes
