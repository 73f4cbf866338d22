"""What training and validation share: images, equal and nearly equal ones, photographs, texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.entries import Entries, Hashes
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.label_format import short

_NUMBERED = re.compile(r"(?P<source>.+?)[-_ .](?:crop|line|word|box)?[-_]?\d+$", re.IGNORECASE)
_FEWEST_SOURCES = 5
_FEWEST_IMAGES = 2.0  # of a photograph, on average
_LARGEST_SHARE = 0.2  # of the images: a "photograph" with more is a common beginning of names


def shared_images(entries: Sequence[Entries], images: Sequence[Hashes], problems: Problems) -> None:
    """Report validation entries whose image is a training image too."""
    train = [hashes for one, hashes in zip(entries, images, strict=True) if one.split == "train"]
    if not train:
        return
    known = np.unique(np.concatenate(train))
    for one, hashes in zip(entries, images, strict=True):
        if one.split == "val":
            for i in np.flatnonzero(np.isin(hashes, known)).tolist():
                path = one.image(i)
                problems.add("leak-image", one.place(i), f"{short(path.name)} is a training image", image=path)


def shared_texts(train: Sequence[Hashes], val: Sequence[Hashes], place: Place, problems: Problems) -> float | None:
    """Report which share of the validation texts are training texts; the share, or None without both."""
    if not train or not val or not sum(map(len, val)):
        return None
    every = np.concatenate(val)
    equal = int(np.isin(every, np.unique(np.concatenate(train))).sum())
    if equal:
        what = f"{equal} of {len(every)} validation texts ({100 * equal / len(every):.0f} %) are training texts"
        problems.add("leak-texts", place, what, "the metric on the others shows how new texts are read")
    return equal / len(every)


class SourceNames:
    """From which photograph an image was cut, by its name.

    `pattern` is searched in the path; its first group, or the whole match, is the name. Without it, names that end with
    a number after a mark (`receipt12_003.jpg`) are taken apart, if that gives photographs with several images each.
    """

    def __init__(self, pattern: str | None, names: Sequence[str]) -> None:
        self.pattern = None if pattern is None else re.compile(pattern)
        self.known = pattern is not None or _are_sources([_numbered(name) for name in names])

    def __call__(self, path: Path) -> str | None:
        """The photograph of an image; None if the name does not state it."""
        if not self.known:
            return None
        if self.pattern is None:
            return _numbered(path.stem)
        found = self.pattern.search(path.as_posix())
        return None if found is None else (found[1] or "") if self.pattern.groups else found[0]


def _numbered(stem: str) -> str | None:
    found = _NUMBERED.fullmatch(stem)
    return found["source"] if found else None


def _are_sources(sources: Sequence[str | None]) -> bool:
    named = [source for source in sources if source is not None]
    if len(named) < 0.9 * len(sources) or not named:
        return False
    counts = np.unique(np.array(named), return_counts=True)[1]
    return len(counts) >= _FEWEST_SOURCES and counts.mean() >= _FEWEST_IMAGES and (
        counts.max() <= _LARGEST_SHARE * len(named)
    )  # fmt: skip


def shared_sources(
    train: npt.NDArray[np.int64],
    val: npt.NDArray[np.int64],
    path: Callable[[int], Path],
    place: Callable[[int], Place],
    pattern: str | None,
    problems: Problems,
) -> int | None:
    """Report validation images that come from a photograph of training images; how many photographs there are, or None
    where names do not state them.

    Args:
        train: rows of the training images.
        val: rows of the validation images.
        path: of a row.
        place: of a row.
        pattern: see SourceNames.
        problems: what is wrong goes there.
    """
    names = [path(row).stem for row in train[:: max(1, len(train) // 20_000)].tolist()]
    source_of = SourceNames(pattern, names)
    if not source_of.known:
        return None
    first: dict[str, int] = {}
    for row in train.tolist():
        if (source := source_of(path(row))) is not None:
            first.setdefault(source, row)
    for row in val.tolist():
        if (source := source_of(path(row))) is not None and source in first:
            what = f"{short(path(row).name)} is from the photograph {source!r}, as {place(first[source])}"
            problems.add("leak-source", place(row), what, image=path(row))
    return len(first)
