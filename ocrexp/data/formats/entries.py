"""What readers of annotation formats give and writers take: one entry per image, and an account of what was not used.

Coordinates are pixels of the image, x to the right, y down, from 0, as PaddleOCR has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrexp.types import UnusableSample

Point = tuple[float, float]
Points = list[Point]

SPLITS = ("train", "val", "test")
_PLACES = 3  # kept of each kind


@dataclass(slots=True)
class Region:
    """A labeled region of an image.

    Args:
        points: its outline, as the source has it: the same first corner, the same direction.
        text: None if it was not transcribed.
        ignored: training and evaluation ignore it.
        language: as the source names it.
        extra: what else the source knows of it, by the source's names; plain values.
        score: of a model's prediction, 0..1; None: it is not known, or a person labeled it.
    """

    points: Points
    text: str | None
    ignored: bool = False
    language: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    score: float | None = None


@dataclass(slots=True)
class Entry:
    """A labeled image: regions of a page, or one text of a word or line.

    Args:
        name: of the image, below the folder of the data, with `/` between folders.
        image: where it is, or the content of its file; None: it was not found.
        regions: None for an image of one text.
        text: the text of an image without regions; None if it was not transcribed.
        size: width and height, as the source states them; None: it does not.
        split: `train`, `val`, `test`, or "" if the source has no parts.
        source: annotation file and line or image, for messages.
        extra: what else the source knows of the image.
    """

    name: str
    image: Path | bytes | None
    regions: list[Region] | None = None
    text: str | None = None
    size: tuple[int, int] | None = None
    split: str = ""
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """`det` or `rec`."""
        return "rec" if self.regions is None else "det"

    def known_size(self) -> tuple[int, int]:
        """Width and height, from the image file where the source does not state them. Raises UnusableSample."""
        if self.size is None:
            from ocrexp.data.image_size import read_size
            from ocrexp.data.images import EncodedImage

            if self.image is None:
                raise UnusableSample("size is not known, because the image is missing")
            if isinstance(self.image, bytes):
                height, width = EncodedImage(Path(self.name), self.image).size
            else:
                found = read_size(self.image)
                if found is None:
                    raise UnusableSample("image cannot be read")
                height, width = found
            self.size = (width, height)
        return self.size


@dataclass(slots=True)
class PlaceCount:
    """How many, and the first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)


class Account:
    """What of a source was dropped and what was changed, by kind, with the number and the first places."""

    def __init__(self) -> None:
        self.dropped: dict[str, PlaceCount] = {}
        self.changed: dict[str, PlaceCount] = {}

    def drop(self, what: str, place: str, count: int = 1) -> None:
        """Count what is not in the result: `what` names the thing and the reason."""
        _count(self.dropped, what, place, count)

    def change(self, what: str, place: str, count: int = 1) -> None:
        """Count what is in the result, but not as the source has it."""
        _count(self.changed, what, place, count)

    def merge(self, other: Account) -> None:
        """Count what another one has."""
        for mine, its in ((self.dropped, other.dropped), (self.changed, other.changed)):
            for what, kind in its.items():
                for place in kind.places[:1]:
                    _count(mine, what, place, kind.count)

    def lines(self) -> Iterator[str]:
        """A line for each kind."""
        for verb, kinds in (("dropped", self.dropped), ("changed", self.changed)):
            for what, kind in kinds.items():
                more = f" (and {kind.count - len(kind.places)} more)" if kind.count > len(kind.places) else ""
                yield f"{verb}: {kind.count} × {what}: {'; '.join(kind.places)}{more}"

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """Both kinds as plain values."""
        return {
            name: [{"what": what, "count": kind.count, "first": kind.places} for what, kind in kinds.items()]
            for name, kinds in (("dropped", self.dropped), ("changed", self.changed))
        }


def _count(kinds: dict[str, PlaceCount], what: str, place: str, count: int) -> None:
    if count < 1:
        return
    kind = kinds.setdefault(what, PlaceCount())
    kind.count += count
    if len(kind.places) < _PLACES and place not in kind.places:
        kind.places.append(place)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader may be asked.

    Args:
        level: `line` or `word`, of formats that have both; None: the usual one of the format.
        text_key: the attribute that holds the text, of formats where users choose its name; None: the usual ones.
    """

    level: str | None = None
    text_key: str | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """How sure a format is that a folder is in it, from 0 to 1, and what it saw."""

    confidence: float = 0.0
    reason: str = ""

    def __bool__(self) -> bool:
        return self.confidence > 0


NO = Guess()


def first_text(values: dict[str, Any], keys: Sequence[str]) -> str | None:
    """The first of these keys that has a text; a number counts as one."""
    for key in keys:
        value = values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value != "":
            return value
    return None
