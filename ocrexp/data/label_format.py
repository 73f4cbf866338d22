"""What a line of a label list is, what can be wrong or odd with it, and what the format of a task has to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ocrexp.types import Polygon

LONGEST_TEXT = 10_000  # characters; a page has fewer
_SHOWN = 60  # characters of a broken line in a message


@dataclass(frozen=True, slots=True)
class LabelProblem:
    """A fault of a label file: where, what, and how to correct it.

    `fatal`: the whole line is skipped, not one region of it.
    """

    file: Path
    line: int
    what: str
    advice: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}; {self.advice}"


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One good line. `names` are image paths as written, mostly one; each is an image with the same label.

    Detection has one text a region; recognition has one text and no polygons.
    """

    line: int
    names: tuple[str, ...]
    texts: tuple[str, ...]
    polygons: tuple[Polygon, ...] = ()
    ignored: tuple[bool, ...] = ()


class BadLine(Exception):
    """A line that cannot be used: what is wrong with it, and how to correct it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


@dataclass(slots=True)
class Notes:
    """What is odd about labels that are used all the same: a kind of thing -> how many labels, and the first place.

    A kind is what the labels do, and the advice.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, what: str, advice: str, count: int, place: str) -> None:
        """`count` more labels, the first of them at `place`."""
        if count:
            self.counts[what, advice] += count
            self.first.setdefault((what, advice), place)

    def merge(self, other: Notes) -> None:
        """Those of another file, which follows."""
        for (what, advice), count in other.counts.items():
            self.add(what, advice, count, other.first[what, advice])

    def lines(self) -> list[str]:
        """One line for each kind."""
        return [
            f"{count} label(s) {what}, the first at {self.first[what, advice]}; {advice}"
            for (what, advice), count in self.counts.items()
        ]


class Checked(NamedTuple):
    """What is known of some lines: whether each is certainly good, whether all its regions are quadrilaterals that do
    not cross themselves, and how many regions it has; arrays [n]."""

    good: npt.NDArray[np.bool_]
    even: npt.NDArray[np.bool_]
    regions: npt.NDArray[np.int32]

    @classmethod
    def none(cls, count: int) -> Checked:
        """Nothing is known."""
        return cls(np.zeros(count, bool), np.zeros(count, bool), np.zeros(count, np.int32))

    def put(self, places: Any, other: Checked) -> None:
        """Set what is known of the lines at these places."""
        for mine, its in zip(self, other, strict=True):
            mine[places] = its

    def followed_by(self, other: Checked) -> Checked:
        """Those of both."""
        return Checked(*(np.concatenate(each) for each in zip(self, other, strict=True)))


class LabelFormat(ABC):
    """How the text behind the tab is read; `has_notes`: whether `note` counts anything."""

    has_notes: ClassVar[bool] = False

    @abstractmethod
    def parse(
        self, number: int, names: tuple[str, ...], label: str, path: Path
    ) -> tuple[LabelLine, list[LabelProblem]]:
        """A line and what is dropped of it. Raises BadLine."""

    @abstractmethod
    def check(self, labels: str, count: int) -> Checked:
        """What is known of `count` labels, given with line feeds between them; those that are not certainly good are
        parsed."""

    def note(self, labels: str, places: Sequence[int], path: Path, notes: Notes) -> None:
        """Count what is odd about labels that are good; `places` are their line numbers."""
        del labels, places, path, notes

    def text(self, label: str) -> str:
        """The text of a label of a task with one text a line."""
        return label


def short(text: str) -> str:
    """A text for a message, cut where it is long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
