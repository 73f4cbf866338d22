"""Counts of what samples have to report beside their batch, gathered from workers and processes like rejections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ocrexp.types import SampleCount

SampleCounts = dict[str, SampleCount]


def add_sample(total: SampleCounts, counts: Mapping[str, int], index: int, where: str) -> None:
    """Add one sample's counts; of places the one with the lowest index stays, whatever the order of the epoch."""
    add_counts(total, {name: SampleCount(count, index, where) for name, count in counts.items() if count})


def add_counts(total: SampleCounts, more: Mapping[str, SampleCount]) -> None:
    """Add the counts of another batch or process."""
    for name, added in more.items():
        if (known := total.get(name)) is None:
            total[name] = added
        else:
            first = min(known, added, key=lambda each: each.index)
            total[name] = SampleCount(known.count + added.count, first.index, first.where)


def sum_counts(parts: Iterable[Mapping[str, SampleCount]]) -> SampleCounts:
    """Those of several processes together."""
    total: SampleCounts = {}
    for part in parts:
        add_counts(total, part)
    return total
