"""Regions that cannot be learned or found as they are labeled: what is wrong, how many, and where the first one is.

Which ones cross themselves is known from the labels alone. Whether they lie on their image is known when it is read,
and whether they are large enough when it is cropped: these are counted in the loader's processes, see
`ocrexp.data.sample_counts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ocrexp.data.records import ListRecords
from ocrexp.data.sample_counts import SampleCount
from ocrexp.types import Polygon, Record

# Names of a sample's counts.
LABELED, OUTSIDE, MOSTLY_OUTSIDE = "regions labeled", "regions outside", "regions mostly outside"
WITHOUT_AREA = "regions without area"
LEGIBLE, SMALL, VANISHED = "regions in crops", "regions too small", "regions shrunk to nothing"

_CHUNK = 1 << 16  # polygons looked at together
_ORDER = "write the points of each region in order around it"


def beyond_image(polygons: Sequence[Polygon], height: int, width: int) -> dict[str, int]:
    """How many regions there are, how many are completely outside of an image of this size, and how many by more than
    half.

    Measured by upright boxes.
    """
    if not polygons:
        return {}
    counts = {LABELED: len(polygons)}
    starts = np.cumsum([0] + [len(polygon) for polygon in polygons[:-1]])
    points = np.concatenate(polygons)
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    if low.min() >= 0 and (high.max(axis=0) <= (width, height)).all():
        return counts
    inside = np.minimum(high, (width, height)) - np.maximum(low, 0)
    gone = (inside <= 0).any(axis=1)
    sides = np.maximum(high - low, 1e-6)
    mostly = ~gone & (np.prod(inside / sides, axis=1) < 0.5)
    return counts | {OUTSIDE: int(gone.sum()), MOSTLY_OUTSIDE: int(mostly.sum())}


def crossing_lines(split: str, records: Sequence[Record]) -> list[str]:
    """A line where regions of a split cross themselves: how many, and where the first one is."""
    count = 0
    first = ""
    indices: Sequence[int]
    if isinstance(records, ListRecords):
        total, indices = records.uneven()
    else:
        total, indices = sum(len(record.polygons) for record in records), range(len(records))
    for owners, polygons in _chunks(records, indices):
        crossing = np.flatnonzero(crosses(polygons))
        count += len(crossing)
        if len(crossing) and not first:
            first = records[owners[int(crossing[0])]].source
    if not count:
        return []
    what = "crosses itself" if total == 1 else "cross themselves"
    fate = "training cannot learn them" if split == "train" else "the metric does not count them"
    return [f"{split}: {count} of {total} regions {what} (points not in order), the first at {first}; {fate}, {_ORDER}"]


def crosses(polygons: Sequence[Polygon]) -> npt.NDArray[np.bool_]:
    """Which polygons cross or touch themselves, or have no area: those for which no overlap is defined."""
    result = np.zeros(len(polygons), bool)
    lengths = np.array([len(polygon) for polygon in polygons], np.int64)
    for points in np.unique(lengths).tolist():
        places = np.flatnonzero(lengths == points)
        if points < 3:
            result[places] = True
            continue
        stacked = np.stack([polygons[place] for place in places.tolist()]).astype(np.float64)
        if points <= 4:  # almost all labels are convex quadrilaterals: four turns in one direction
            before, after = np.roll(stacked, 1, axis=1) - stacked, np.roll(stacked, -1, axis=1) - stacked
            turns = before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]
            unsure = ~((turns > 0).all(axis=1) | (turns < 0).all(axis=1))
            places, stacked = places[unsure], stacked[unsure]
        if len(places):
            import shapely

            result[places] = ~shapely.is_valid(shapely.polygons(stacked))
    return result


def _chunks(records: Sequence[Record], indices: Sequence[int]) -> Iterator[tuple[list[int], list[Polygon]]]:
    """The regions of these records in portions, with the indices of their records."""
    owners: list[int] = []
    polygons: list[Polygon] = []
    for index in indices:
        record = records[index]
        owners += [index] * len(record.polygons)
        polygons += record.polygons
        if len(polygons) >= _CHUNK:
            yield owners, polygons
            owners, polygons = [], []
    if polygons:
        yield owners, polygons


def count_lines(split: str, counts: Mapping[str, SampleCount]) -> list[str]:
    """What the samples of a split have reported, a line for each reason."""
    lines = []
    if WITHOUT_AREA in counts:
        found = counts[WITHOUT_AREA]
        lines.append(f"{split}: {found.count} region(s) without area dropped, the first in {found.where}")
    for name, where in ((OUTSIDE, "outside their image"), (MOSTLY_OUTSIDE, "more than half outside their image")):
        if name in counts:
            lines.append(
                f"{split}: {counts[name].count} of {counts[LABELED].count} regions are {where}, the first in "
                f"{counts[name].where}; do the labels belong to the image without EXIF rotation, or to another size?"
            )
    for name, what in (
        (SMALL, "are smaller than targets.min_text_size after augment"),
        (VANISHED, "vanish when they are shrunk (targets.shrink_ratio)"),
    ):
        if name in counts:
            lines.append(
                f"{split}: {counts[name].count} of {counts[LEGIBLE].count} regions {what} and were not learned, the "
                f"first in {counts[name].where}; if there are many, enlarge the images in augment (size, scale)"
            )
    return lines
