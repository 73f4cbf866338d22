"""Regions of detection labels: their points, their place on the image, their size for the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.entries import Entries
from ocrexp.data.checking.geometry import Floats, PolygonTable, repeats, rotated_points, wrong_start
from ocrexp.data.checking.images import ImageTable
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.checking.texts import TextCheck
from ocrexp.data.label_format import LabelLine, short
from ocrexp.data.regions import crosses
from ocrexp.types import Polygon

_BEYOND = 2.0  # pixels that a region may reach beyond its image without a note
_UPRIGHT = "一", "鿿"  # Han, kana and Hangul may be written downwards
_LEAST_TEXT = 3  # characters from which the direction of a word is clear


@dataclass(frozen=True)
class RegionLimits:
    """What a detector can learn.

    Args:
        size: height and width of an image → those that evaluation resizes it to.
        smallest: short side in pixels, after the resize, below which a region is too small.
        largest: short side in pixels, after the resize, above which the model does not see it at once.
    """

    size: Callable[[int, int], tuple[int, int]]
    smallest: float = 8.0
    largest: float = 320.0


class RegionCheck:
    """Looks at the regions of one split.

    Attributes:
        short: short sides of legible regions in pixels of the image, and `resized` after the model's resize.
        per_image: number of regions of each image.
        ignored: number of regions to ignore.
        texts: the check of legible texts.
    """

    def __init__(self, split: str, limits: RegionLimits, problems: Problems) -> None:
        self.split = split
        self.short: list[Floats] = []
        self.resized: list[Floats] = []
        self.per_image: list[int] = []
        self.ignored = 0
        self.texts = TextCheck(split, problems)
        self._limits = limits
        self._problems = problems

    def look(self, entries: Entries, rows: npt.NDArray[np.int64], images: ImageTable | None) -> None:
        """Look at the regions of a list; with `images` and the list's `rows` in it, at their place on the image too."""
        problems = self._problems
        for i in range(len(entries)):
            (line, dropped), place, path = entries.regions(i), entries.place(i), entries.image(i)
            for fault in dropped:
                problems.add("polygon-no-area", place, fault.what, fault.advice, path)
            if legible := [text for text, ignored in zip(line.texts, line.ignored, strict=True) if not ignored]:
                self.texts.look(legible, lambda _, place=place: place)  # type: ignore[misc]
            self.per_image.append(len(line.polygons))
            self.ignored += sum(line.ignored)
            if not line.polygons:
                problems.add("image-no-regions", place, f"{short(path.name)} has no regions", image=path)
                continue
            if all(line.ignored):
                what = f"all {len(line.polygons)} regions of {short(path.name)} are ignored"
                problems.add("image-no-legible", place, what, image=path)
            table = PolygonTable(line.polygons)
            sound = ~check_shapes(line, place, path, problems, table)
            if images is not None and rows[i] >= 0 and images.height[rows[i]]:
                self._on_image(line, table, sound, place, path, images, int(rows[i]))
            else:
                self.short.append(table.short[~np.array(line.ignored)])

    def _on_image(
        self,
        line: LabelLine,
        table: PolygonTable,
        sound: npt.NDArray[np.bool_],
        place: Place,
        path: Path,
        images: ImageTable,
        row: int,
    ) -> None:
        height, width = int(images.height[row]), int(images.width[row])
        if self._unrotated(line, table, place, path, int(images.orientation[row]), height, width):
            return
        inside = np.minimum(table.high, (width, height)) - np.maximum(table.low, 0)
        share = np.prod(np.maximum(inside, 0) / np.maximum(table.high - table.low, 1e-6), axis=1)
        gone = np.any(inside <= 0, axis=1)
        over = ((table.low < -_BEYOND) | (table.high > np.array([width, height]) + _BEYOND)).any(axis=1)
        of = f"the image of {width}×{height}"
        for k in np.flatnonzero(over).tolist():
            name, shown = f"region {k + 1} {short(line.texts[k])}", (line.polygons[k],)
            if gone[k]:
                self._problems.add("polygon-outside", place, f"{name} is outside {of}", None, path, shown)
            elif share[k] < 0.5:
                what = f"{name} is by {100 * (1 - share[k]):.0f} % outside {of}"
                self._problems.add("polygon-partly-outside", place, what, None, path, shown)
            else:
                self._problems.add("polygon-beyond", place, f"{name} reaches beyond {of}", None, path, shown)
        self._sizes(line, table, sound, place, path, height, width)

    def _unrotated(
        self, line: LabelLine, table: PolygonTable, place: Place, path: Path, orientation: int, height: int, width: int
    ) -> bool:
        """Report labels that fit the image before its EXIF rotation only."""
        if not fits_unrotated(table, orientation, height, width):
            return False
        turned = tuple(rotated_points(polygon, orientation, height, width) for polygon in line.polygons)
        what = f"regions fit the image of {height}×{width} before its EXIF rotation, not the {width}×{height} after it"
        self._problems.add("polygon-unrotated", place, what, None, path, turned)
        return True

    def _sizes(
        self,
        line: LabelLine,
        table: PolygonTable,
        sound: npt.NDArray[np.bool_],
        place: Place,
        path: Path,
        height: int,
        width: int,
    ) -> None:
        legible = ~np.array(line.ignored)
        new_height, new_width = self._limits.size(height, width)
        scale = min(new_height / height, new_width / width)
        legible &= sound
        resized = table.short * scale
        self.short.append(table.short[legible])
        self.resized.append(resized[legible])
        limits = self._limits
        for k in np.flatnonzero(legible & ((resized < limits.smallest) | (resized > limits.largest))).tolist():
            name, shown = f"region {k + 1} {short(line.texts[k])}", (line.polygons[k],)
            size = f"{resized[k]:.1f} pixels high after the resize to {new_width}×{new_height}"
            if resized[k] < limits.smallest:
                what = f"{name} is {size}, below {limits.smallest:g}"
                self._problems.add("polygon-tiny", place, what, None, path, shown)
            else:
                what = f"{name} is {size}, above {limits.largest:g}"
                self._problems.add("polygon-enormous", place, what, None, path, shown)


class Labeled(Protocol):
    """The regions of an image: a line of a list, or a record."""

    @property
    def texts(self) -> tuple[str, ...]: ...

    @property
    def polygons(self) -> tuple[Polygon, ...]: ...

    @property
    def ignored(self) -> tuple[bool, ...]: ...


def check_shapes(
    labels: Labeled, place: Place, path: Path, problems: Problems, table: PolygonTable | None = None
) -> npt.NDArray[np.bool_]:
    """Report what the points of regions alone show; returns which regions cross themselves."""
    table = PolygonTable(labels.polygons) if table is None else table
    crossing = crosses(labels.polygons)
    for k, (text, polygon) in enumerate(zip(labels.texts, labels.polygons, strict=True)):
        name = f"region {k + 1} {short(text)}"
        if not text.strip():
            problems.add("region-no-text", place, f"{name} has an empty transcription", None, path, (polygon,))
        if crossing[k]:
            problems.add("polygon-crossing", place, f"{name} crosses itself", None, path, (polygon,))
        elif table.area[k] < 0:
            what = f"the points of {name} run counterclockwise"
            problems.add("polygon-counterclockwise", place, what, None, path, (polygon,))
        elif not labels.ignored[k] and is_clear(text) and (start := wrong_start(polygon)) is not None:
            what = f"{name} starts at the {start} of its text"
            problems.add("polygon-start", place, what, None, path, (polygon,))
    for first, second in repeats(labels.polygons, table):
        what = f"region {second + 1} {short(labels.texts[second])} covers region {first + 1}"
        both = (labels.polygons[first], labels.polygons[second])
        problems.add("polygon-duplicate", place, what, None, path, both)
    return crossing


def is_clear(text: str) -> bool:
    """Whether a text runs from left to right in print, most probably."""
    return len(text) >= _LEAST_TEXT and not any(_UPRIGHT[0] <= c <= _UPRIGHT[1] or "぀" <= c <= "ヿ" or
                                                "가" <= c <= "힣" for c in text)  # fmt: skip


def fits_unrotated(table: PolygonTable, orientation: int, height: int, width: int) -> bool:
    """Whether regions fit an image before its EXIF rotation and not the one of this height and width after it."""
    if orientation < 5 or (table.high <= (width + _BEYOND, height + _BEYOND)).all():
        return False
    return bool((table.high <= (height + _BEYOND, width + _BEYOND)).all())


def combined(parts: list[Floats]) -> Floats:
    """One array of several."""
    return np.concatenate(parts) if parts else np.zeros(0)


def mirrored(polygon: Polygon) -> Polygon:
    """The points in the other direction, from the same first one."""
    return np.concatenate([polygon[:1], polygon[:0:-1]])
