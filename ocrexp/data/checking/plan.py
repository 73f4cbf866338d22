"""What a check looks at, and what it finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.entries import Entries
from ocrexp.data.checking.figures import Histogram
from ocrexp.data.checking.images import ImageTable
from ocrexp.data.checking.lengths import TextLimits
from ocrexp.data.checking.problems import Place, Problem, Problems
from ocrexp.data.checking.regions import RegionLimits
from ocrexp.data.source import SplitSource
from ocrexp.data.split import ValSplit


def _no_progress(total: int, what: str) -> Callable[[str], None]:
    del total, what
    return lambda _: None


@dataclass
class DataPlan:
    """A data set and what is checked of it.

    Args:
        task: "det", "rec" or "cls".
        root: folder of the data.
        lists: lists, or LMDB folders, of each split, relative to the root.
        lmdb: whether these are LMDB folders.
        streamed: the records of `source_data` are of shards, which training reads one after the other.
        source_data: a source of another kind, whose records are checked; its own report has its bad lines.
        keys: the configuration's names of the lists, for advice.
        val_split: divides the training images, where there is no validation list.
        images: open the images.
        workers: processes that open them; None: one per core.
        most: problems of each kind and split that are kept; None: all.
        text_limits: of a recognizer, from the texts of the training lists.
        region_limits: of a detector.
        classes: labels of a classifier.
        min_side: images with a shorter side are too small.
        aspect: width / height of the model's images, for the share of images that are squeezed.
        source: regular expression that names the photograph of an image; None: found by the names, "" not looked for.
        most_pairs: pairs of similar images that are compared pixel by pixel.
        progress: makes a progress bar of (total, what); it is called with the name of each image.
        heard: called with each problem that is kept, when it is found.
    """

    task: str
    root: Path
    lists: Mapping[str, Sequence[str]]
    lmdb: bool = False
    streamed: bool = False
    source_data: SplitSource | None = None
    keys: Mapping[str, str] = field(default_factory=lambda: {"train": "train_labels", "val": "val_labels"})
    val_split: ValSplit | None = None
    images: bool = True
    workers: int | None = None
    most: int | None = 1000
    text_limits: Callable[[Iterable[str]], TextLimits] | None = None
    region_limits: RegionLimits | None = None
    classes: Sequence[str] | None = None
    min_side: int = 1
    aspect: float | None = None
    image_shape: tuple[int, int] | None = None
    several_sizes: bool = False
    source: str | None = None
    most_pairs: int = 20_000
    progress: Callable[[int, str], Callable[[str], None]] = _no_progress
    heard: Callable[[Problem], None] | None = None


@dataclass
class DataFindings:
    """What a check has found.

    Attributes:
        plan: what was checked.
        problems: what is wrong.
        entries: the lists, training first.
        images: facts of the images; None where they were not opened.
        rows: of each list, the rows of its images in `images`.
        facts: numbers about the data, for people, by name.
        histograms: distributions.
        characters: of the texts, with their numbers, the most frequent first.
        advice: settings that suit the data: what to set, and why.
        not_looked: what was not looked at, and why.
        fingerprint: of the lists as training records it, and of the images.
    """

    plan: DataPlan
    problems: Problems
    entries: list[Entries] = field(default_factory=list)
    images: ImageTable | None = None
    rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    histograms: list[Histogram] = field(default_factory=list)
    characters: list[tuple[str, int]] = field(default_factory=list)
    advice: list[tuple[str, str]] = field(default_factory=list)
    not_looked: list[str] = field(default_factory=list)
    fingerprint: dict[str, str] = field(default_factory=dict)
    worst: list[tuple[str, Path, str]] = field(default_factory=list)

    def of(self, split: str) -> list[Entries]:
        """The lists of a split."""
        return [one for one in self.entries if one.split == split]

    def place_of(self, number: int) -> Place:
        """Where an entry is, by its number among all."""
        for one in self.entries:
            if number < len(one):
                return one.place(number)
            number -= len(one)
        raise IndexError(number)

    def shown(self, text: object) -> str:
        """A text without the root folder in front of paths."""
        root = str(self.plan.root)
        return str(text) if root == "." else re.sub(rf"(?<![\w./-]){re.escape(root)}/", "", str(text))

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        problems = self.problems
        return {
            "task": self.plan.task,
            "root": str(self.plan.root),
            "lists": {split: list(names) for split, names in self.plan.lists.items()},
            "errors": problems.number("error"),
            "warnings": problems.number("warning"),
            "notes": problems.number("note"),
            "counts": {
                kind.name: {
                    "severity": kind.severity,
                    "title": kind.title,
                    **{split: n for (name, split), n in sorted(problems.counts.items()) if name == kind.name},
                }
                for kind in problems.kinds()
            },
            "facts": self.facts,
            "advice": [{"set": setting, "why": why} for setting, why in self.advice],
            "not_looked_at": self.not_looked,
            "fingerprint": self.fingerprint,
            "histograms": {one.name: one.facts() for one in self.histograms},
            "characters": dict(self.characters),
            "problems": [problem.facts() for problem in problems],
        }
