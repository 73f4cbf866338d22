"""The short form of the check that every training runs: as many labels and images as a few seconds allow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ocrexp.data.checking.images import ImageFacts, examine, is_flat, kind_of_reason
from ocrexp.data.checking.kinds import KINDS
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.checking.regions import check_shapes
from ocrexp.data.checking.texts import TextCheck
from ocrexp.data.label_format import short
from ocrexp.data.records import text_portions
from ocrexp.types import Record

_LABELS_SHARE = 0.4  # of the time
_MOST_IMAGES = 200  # a sample shows what is common; training itself reports each image that it cannot decode
_PORTION = 64  # detection labels between two looks at the clock
# What is not reported: training counts these anyway, normalizes them, or learns from them all the same.
_REPORTED = (
    "text-spaces", "text-invisible", "text-nbsp", "text-unnormalized", "polygon-crossing", "polygon-no-area",
    "polygon-counterclockwise", "polygon-start", "image-missing", "image-exif",
)  # fmt: skip


def quick_check(
    splits: Mapping[str, Sequence[Record]], task: str, seconds: float, clock: Callable[[], float] = time.monotonic
) -> tuple[list[str], str]:
    """One line for each kind of problem, and one line about what was looked at.

    Args:
        splits: records of "train" and "val".
        task: "det", "rec" or "cls".
        seconds: that it may take.
        clock: the time in seconds.
    """
    problems = Problems(most=1)
    begun = clock()
    until = begun + _LABELS_SHARE * seconds
    labels = 0
    for split, records in splits.items():
        check = TextCheck(split, problems)
        looked = _regions(records, split, check, problems) if task == "det" else _texts(records, split, check)
        for count in looked:
            labels += count
            if clock() >= until:
                break
        check.finish(check.characters)
    images = _images(splits, problems, lambda: clock() >= begun + seconds)
    total = sum(len(records) for records in splits.values())
    took = clock() - begun
    seen = f"looked at {labels} of {total} labels and {images} of {total} images in {took:.1f} s"
    rest = "" if labels == images == total else "; not at the rest"
    return _lines(problems), f"data check: {seen}{rest}; python -m ocrexp check-data finds more"


def problems_of(record: Record, task: str) -> list[dict[str, str]]:
    """The problems that a record's own label and image show, as plain values for a page."""
    problems = Problems(most=None)
    check = TextCheck("train", problems)
    for _ in _regions([record], "train", check, problems) if task == "det" else _texts([record], "train", check):
        pass
    if record.draw is None:
        _judge(record, "train", examine(record.image_path), problems)
    return [problem.shown() for problem in problems]


def _place(record: Record, split: str) -> Place:
    file, _, line = record.source.rpartition(":")
    return Place(split, file, int(line)) if line.isdigit() else Place(split, record.source)


def _texts(records: Sequence[Record], split: str, check: TextCheck) -> Iterator[int]:
    start = 0
    for texts in text_portions(records):
        check.look(texts, lambda i, start=start: _place(records[start + i], split))  # type: ignore[misc]
        yield len(texts)
        start += len(texts)


def _regions(records: Sequence[Record], split: str, check: TextCheck, problems: Problems) -> Iterator[int]:
    """Labels in random order: neighbors in a list are alike."""
    order = np.random.default_rng(0).permutation(len(records)).tolist()
    for start in range(0, len(order), _PORTION):
        for i in order[start : start + _PORTION]:
            record = records[i]
            place = _place(record, split)
            if record.polygons:
                check_shapes(record, place, record.image_path, problems)
            if legible := [text for text, ignored in zip(record.texts, record.ignored, strict=True) if not ignored]:
                check.look(legible, lambda _, place=place: place)  # type: ignore[misc]
        yield len(order[start : start + _PORTION])


def _images(splits: Mapping[str, Sequence[Record]], problems: Problems, over: Callable[[], bool]) -> int:
    """Open images in random order, the splits in turn, until the time is over; how many."""
    rng = np.random.default_rng(0)
    orders = {split: rng.permutation(len(records)).tolist() for split, records in splits.items()}
    contents: dict[int, tuple[str, Path]] = {}
    looked = 0
    while any(orders.values()):
        for split, order in orders.items():
            if not order:
                continue
            if over() or looked == _MOST_IMAGES:
                return looked
            record = splits[split][order.pop()]
            facts = examine(record.image_path)
            looked += 1
            _judge(record, split, facts, problems)
            if facts.content:
                other = contents.setdefault(facts.content, (split, record.image_path))
                if other[0] != split and other[1] != record.image_path:
                    what = f"{short(record.image_path.name)} is equal to {short(other[1].name)} of {other[0]}"
                    problems.add("leak-content", _place(record, split), what)
    return looked


def _judge(record: Record, split: str, facts: ImageFacts, problems: Problems) -> None:
    place, name = _place(record, split), short(record.image_path.name)
    if facts.reason:
        problems.add(kind_of_reason(facts.reason), place, f"{name}: {facts.reason}")
    elif is_flat(facts.contrast):
        problems.add("image-near-empty", place, f"{name} has one color")
    elif facts.damage:
        problems.add("image-damaged", place, f"{name}: {facts.damage}")


def _lines(problems: Problems) -> list[str]:
    lines = []
    for (name, split), count in problems.counts.items():
        kind = KINDS[name]
        if kind.severity == "note" or name in _REPORTED:
            continue
        first = problems.kept[name, split][0]
        what = f"{first.what}; {first.advice}" if first.advice else first.what
        lines.append(f"data check: {split}: {count} {kind.title}, the first at {first.place}: {what}")
    return lines
