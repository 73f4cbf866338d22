"""Problems of a data set: the first ones of each kind are kept with their places, all are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrexp.data.checking.kinds import KINDS, SEVERITIES, Kind, Severity
from ocrexp.types import Polygon


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a split, a list (or database) and its line (or entry); line 0 is the whole list."""

    split: str
    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `image` and `polygons` show it, where an image does."""

    kind: Kind
    place: Place
    what: str
    advice: str
    image: Path | None = None
    polygons: tuple[Polygon, ...] = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"; {self.advice}" if self.advice else "")

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        facts: dict[str, Any] = {
            "kind": self.kind.name,
            "severity": self.kind.severity,
            "split": self.place.split,
            "file": self.place.file,
            "line": self.place.line or None,
            "what": self.what,
            "advice": self.advice,
        }
        if self.image is not None:
            facts["image"] = str(self.image)
        return facts

    def shown(self) -> dict[str, str]:
        """Texts for a page that shows the place itself."""
        kind = self.kind
        return {
            "kind": kind.name, "severity": kind.severity, "title": kind.title, "what": self.what, "advice": self.advice,
        }  # fmt: skip


@dataclass(slots=True)
class Problems:
    """Collects problems; `most` of each kind and split are kept (None: all); `heard` is called with each of these."""

    most: int | None = 1000
    heard: Callable[[Problem], None] | None = None
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: dict[tuple[str, str], list[Problem]] = field(default_factory=dict)

    def add(
        self,
        kind: str,
        place: Place,
        what: str,
        advice: str | None = None,
        image: Path | None = None,
        polygons: tuple[Polygon, ...] = (),
        count: int = 1,
    ) -> None:
        """One problem, or one that stands for `count` of its kind."""
        key = (kind, place.split)
        self.counts[key] += count
        some = self.kept.setdefault(key, [])
        if self.most is None or len(some) < self.most:
            found = KINDS[kind]
            some.append(Problem(found, place, what, found.advice if advice is None else advice, image, polygons))
            if self.heard is not None:
                self.heard(some[-1])

    def wants(self, kind: str, split: str) -> bool:
        """Whether a further problem would be kept; otherwise counting is enough."""
        return self.most is None or len(self.kept.get((kind, split), ())) < self.most

    def count(self, kind: str, split: str, number: int = 1) -> None:
        """Count problems without keeping their places."""
        if number:
            self.counts[kind, split] += number

    def number(self, severity: Severity) -> int:
        """How many problems of a severity there are."""
        return sum(count for (kind, _), count in self.counts.items() if KINDS[kind].severity == severity)

    def total(self, kind: str) -> int:
        """How many problems of a kind there are."""
        return sum(count for (name, _), count in self.counts.items() if name == kind)

    def kinds(self) -> list[Kind]:
        """The kinds that were found, the most severe and the most frequent first."""
        names = {kind for kind, _ in self.counts}
        return sorted(
            (KINDS[name] for name in names), key=lambda kind: (SEVERITIES.index(kind.severity), -self.total(kind.name))
        )

    def of(self, kind: str) -> list[Problem]:
        """The problems of a kind that are kept, split after split."""
        return [problem for (name, _), some in self.kept.items() if name == kind for problem in some]

    def __iter__(self) -> Iterator[Problem]:
        for kind in self.kinds():
            yield from self.of(kind.name)
