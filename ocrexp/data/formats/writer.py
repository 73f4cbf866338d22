"""What writers of formats share: where images go, and what a format cannot hold."""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ocrexp.data.formats.entries import Account, Entry, Region
from ocrexp.data.formats.shapes import bounds, box, is_box, smallest_rectangle
from ocrexp.errors import DataError

CLASS, LABELS = "class", "labels"  # attributes of regions: what users named them, once or several times
_UNSAFE = re.compile(r'[\x00-\x1f\\:*?"<>|]')
_SIGNATURES = (
    (b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a format is written.

    Args:
        copy: images are copied; otherwise labels refer to them where they are, and formats whose programs look for
            images in the labels' folder get symbolic links.
        placeholder: the text of regions that have none, in formats whose regions need one.
        shard_bytes: the size from which a new shard is begun.
        draft: the labels are a model's, which a person has still to confirm; for programs that know the difference.
        address: precedes the path of an image in Label Studio's tasks.
        workers: processes that write, in formats that are written by several.
    """

    copy: bool = False
    placeholder: str = "text"
    shard_bytes: int = 1 << 28
    draft: bool = False
    address: str = "/data/local-files/?d="
    workers: int = 1


@dataclass(slots=True)
class ResultImages:
    """Puts the images of a result into its folder.

    Args:
        folder: the folder that is written.
        final: the place where it will be in the end.
        copy: see WriteOptions.
    """

    folder: Path
    final: Path
    copy: bool
    _placed: dict[Path, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def refer(self, entry: Entry, place: str = "images") -> str:
        """A path from the result's folder to an entry's image: to where it is, or to its copy in `place`."""
        if isinstance(entry.image, Path) and not self.copy and _is_file(entry.image):
            return Path(os.path.relpath(entry.image.absolute(), self.final.absolute())).as_posix()
        return self.put(entry, place)

    def put(self, entry: Entry, place: str = "images") -> str:
        """Put the image into `place`, as a copy or as a symbolic link, and return its path from the result's folder."""
        if entry.image is None:
            return self._name(entry, place, b"")
        if isinstance(entry.image, Path):
            known = self._placed.get(entry.image)
            if known is not None and known.startswith(f"{place}/" if place else ""):
                return known
        data = content(entry) if not isinstance(entry.image, Path) or not _is_file(entry.image) else None
        name = self._name(entry, place, data or b"")
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if data is not None:
            target.write_bytes(data)
        elif self.copy:
            assert isinstance(entry.image, Path)
            shutil.copyfile(entry.image, target)
        else:
            assert isinstance(entry.image, Path)
            beside = (self.final / name).absolute().parent
            target.symlink_to(os.path.relpath(entry.image.absolute(), beside))
        if isinstance(entry.image, Path):
            self._placed[entry.image] = name
        return name

    def _name(self, entry: Entry, place: str, data: bytes) -> str:
        """A free name below `place` that is a name on every system and does not leave the folder."""
        parts = [_UNSAFE.sub("_", part) for part in entry.name.replace("\\", "/").split("/")]
        parts = [part for part in parts if part not in ("", ".", "..")] or ["image"]
        path = PurePosixPath(place, *parts)
        if data and (suffix := suffix_of(data)) and path.suffix.lower() not in (suffix, ".jpeg", ".tiff"):
            path = path.with_name(f"{path.name}{suffix}")
        name, number = path.as_posix(), 1
        while name.casefold() in self._taken:
            number += 1
            name = path.with_name(f"{path.stem}_{number}{path.suffix}").as_posix()
        self._taken.add(name.casefold())
        return name


def _is_file(path: Path) -> bool:
    """Whether the path is a file, and not an entry of a database."""
    return path.is_file()


def content(entry: Entry) -> bytes:
    """The content of an entry's image file. Raises UnusableSample."""
    from ocrexp.data.images import read_bytes

    assert entry.image is not None
    return entry.image if isinstance(entry.image, bytes) else read_bytes(entry.image)


def suffix_of(data: bytes) -> str:
    """The usual suffix of an image file by its first bytes; "" if they are of no common kind."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for start, suffix in _SIGNATURES if data.startswith(start)), "")


def class_of(region: Region) -> str | None:
    """The class of a region, or its first label; None if it has neither."""
    labels = region.extra.get(LABELS)
    own = region.extra.get(CLASS) or (labels[0] if isinstance(labels, list) and labels else None)
    return None if own is None else str(own)


class Writer(ABC):
    """Writes the entries of one part of a data set into a folder.

    Args:
        folder: the folder to write into; it exists.
        images: places the images.
        split: the name of the part, as lists are named after it.
        options: see WriteOptions.
        account: what the format cannot hold is counted there.

    Attributes:
        written: how many entries were written.
        lost: entries that were counted as written, whose images could not be read afterwards, each with the reason.

    Class attributes state what the format holds: `shapes` are `polygons`, `quads` or `boxes`.
    """

    kinds: ClassVar[tuple[str, ...]] = ("det",)
    shapes: ClassVar[str] = "polygons"
    has_text: ClassVar[bool] = True
    has_ignored: ClassVar[bool] = True
    has_language: ClassVar[bool] = False
    attributes: ClassVar[frozenset[str] | None] = frozenset()  # of regions that it holds, by their names; None: all
    own_folder: ClassVar[bool] = True  # every part has a folder of its own; otherwise files are named after the part

    def __init__(self, folder: Path, images: ResultImages, split: str, options: WriteOptions, account: Account) -> None:
        self.folder, self.images, self.split, self.options, self.account = folder, images, split, options, account
        self.written = 0
        self.lost: list[tuple[Entry, str]] = []

    def add(self, entry: Entry) -> None:
        """Write an entry, as far as the format can hold it. Raises UnusableSample if its image cannot be read."""
        if entry.kind not in self.kinds:
            what = "regions" if entry.kind == "det" else "one text per image"
            raise DataError(
                f"{entry.source}: has {what}, which the chosen format does not hold; choose another one with to="
            )
        if entry.regions is not None:
            entry = replace(entry, regions=[self._fitted(region, entry.source) for region in entry.regions])
        elif entry.text is None:
            self.account.drop("image without a text", entry.source)
            return
        if self.put(entry):
            self.written += 1

    @abstractmethod
    def put(self, entry: Entry) -> bool:
        """Write an entry that the format can hold; False if it was dropped, which is then counted."""

    def close(self) -> None:  # noqa: B027  # most formats are complete after their last entry
        """Write what is written at the end."""

    def cancel(self) -> None:  # noqa: B027  # most formats run nothing
        """End what still runs, after an error."""

    def _fitted(self, region: Region, place: str) -> Region:
        """The region as the format can hold it; what is lost is counted."""
        change = self.account.change
        points = region.points
        if self.shapes == "boxes" and not is_box(points):
            points = box(*bounds(points))
            change("region that is not an upright rectangle, written as its bounding box", place)
        elif self.shapes == "quads" and len(points) != 4:
            points = smallest_rectangle(points)
            change("region of other than 4 points, written as its smallest rotated rectangle", place)
        if not self.has_text and region.text is not None:
            change("text of a region, which the format does not hold", place)
        if not self.has_ignored and region.ignored:
            change("region marked to ignore, a mark which the format does not hold", place)
        if not self.has_language and region.language:
            change("language of a region, which the format does not hold", place)
        if lost := [name for name in sorted(region.extra) if not self._holds(name, region)]:
            change(f"other attributes of a region ({', '.join(lost)}), which the format does not hold", place)
        return replace(region, points=points)

    def _holds(self, name: str, region: Region) -> bool:
        """Whether an attribute is written; of several labels a format of classes has the first one."""
        if self.attributes is None:
            return True
        return name in self.attributes or (
            name == LABELS and CLASS in self.attributes and CLASS not in region.extra and len(region.extra[LABELS]) < 2
        )

    def text(self, region: Region, place: str) -> str:
        """The text of a region in a format whose regions need one."""
        if region.text is not None:
            return region.text
        if region.ignored:
            return "###"
        self.account.change(f"region without a text, written as {self.options.placeholder!r}", place)
        return self.options.placeholder
