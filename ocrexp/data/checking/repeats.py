"""Lines that name an image again: with the same label, or with another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.entries import Entries, Hashes, ListEntries, RecordEntries
from ocrexp.data.checking.problems import Problems
from ocrexp.data.label_format import short
from ocrexp.types import Record


def label_hashes(entries: Entries) -> Hashes:
    """A hash of the label of each entry, int64 [n]; equal labels have equal ones in this process."""
    found = np.zeros(len(entries), np.int64)
    start = 0
    if isinstance(entries, ListEntries):
        packed = entries.file.packed
        for chunk in packed.chunks(entries.part.lines):
            labels = packed.labels(chunk).split(b"\n")
            found[start : start + len(labels)] = np.fromiter(map(hash, labels), np.int64, len(labels))
            start += len(labels)
        return found
    if isinstance(entries, RecordEntries):
        return np.fromiter(map(_label_hash, entries.records), np.int64, len(entries))
    for texts in entries.texts():
        found[start : start + len(texts)] = np.fromiter(map(hash, texts), np.int64, len(texts))
        start += len(texts)
    return found


def _label_hash(record: Record) -> int:
    return hash((record.texts, tuple(polygon.tobytes() for polygon in record.polygons)))


def repeated_lines(entries: Sequence[Entries], images: Sequence[Hashes], problems: Problems) -> None:
    """Report images that a split names more than once.

    Args:
        entries: the lists of the split.
        images: the hashes of their images.
        problems: what is wrong goes there.
    """
    if not entries:
        return
    labels = [label_hashes(one) for one in entries]
    every, of_label = np.concatenate(images), np.concatenate(labels)
    owners = np.repeat(np.arange(len(entries)), [len(one) for one in entries])
    inner = np.concatenate([np.arange(len(one)) for one in entries])
    for group in groups_of_equals(every):
        first = group[0]
        before = entries[owners[first]].place(int(inner[first]))
        for i in group[1:]:
            one, place = entries[owners[i]], entries[owners[i]].place(int(inner[i]))
            name = one.image(int(inner[i])).name
            if of_label[i] == of_label[first]:
                problems.add("line-duplicate", place, f"{short(name)} has the same label as at {before}")
            else:
                what = f"{short(name)} has another label than at {before}"
                problems.add("label-conflict", place, what, image=one.image(int(inner[i])))


def groups_of_equals(values: npt.NDArray[np.generic]) -> list[list[int]]:
    """Positions of values that occur several times, ascending within each group."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if not len(same):
        return []
    breaks = np.flatnonzero(np.diff(same) > 1)
    starts, ends = np.concatenate([same[:1], same[breaks + 1]]), np.concatenate([same[breaks], same[-1:]]) + 2
    return [order[a:b].tolist() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
