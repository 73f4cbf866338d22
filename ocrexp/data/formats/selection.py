"""Which entries of a conversion are used, as what, and in which part of the result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ocrexp.data.formats.base import Format
from ocrexp.data.formats.entries import Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.shapes import fault, smallest_rectangle
from ocrexp.data.formats.tidying import tidied
from ocrexp.data.split import ValSplit
from ocrexp.errors import ConfigError, DataError
from ocrexp.types import UnusableSample


@dataclass(frozen=True, slots=True)
class Origin:
    """A data set that is read: its folder, its format, and why it was taken for this format."""

    folder: Folder
    format: Format
    guess: Guess | None  # None: the user has named it


@dataclass(frozen=True, slots=True)
class Filters:
    """What is used of the entries.

    Args:
        keep_missing: entries whose image was not found stay.
        min_height: pixels; lower regions are ignored, lower images of one text are dropped. 0: none.
        characters: texts with others are ignored or dropped in the same way. None: all.
        task: `det` or `rec`: only entries of this kind; None: any.
    """

    keep_missing: bool = False
    min_height: float = 0
    characters: frozenset[str] | None = None
    task: str | None = None


def read_all(
    origins: Sequence[Origin],
    options: ReadOptions,
    filters: Filters,
    account: Account,
    divided: Sequence[str | None] | None = None,
) -> Iterator[Entry]:
    """The entries of all data sets that can be used, the same at each reading; what cannot is in the account.

    With `divided`, what is changed in entries that are not taken (None, or beyond its end) is not counted.
    """
    position = 0
    images: set[int] = set()  # hashes of the paths of images of entries before
    for origin in origins:
        for entry in origin.format.read(origin.folder, options, account):
            own = Account()
            used = _usable(entry, origin.folder, filters, own)
            taken = divided is None or (position < len(divided) and divided[position] is not None)
            if used is None or taken:
                account.merge(own)
            if used is not None:
                position += 1
                if isinstance(used.image, Path):
                    if hash(used.image) in images and taken:
                        account.change("image that a label before it is about too", f"{used.source}: {used.image}")
                    images.add(hash(used.image))
                yield used
        for name in sorted(origin.folder.ambiguous)[:3]:
            account.change("image whose name others have too, chosen by its folder", name)
    folders = [origin.folder for origin in origins]
    for folder in {folder.image_base: folder for folder in folders}.values():
        for name in folder.unlabeled(folders):
            account.drop("image without a label", str(folder.image_base / name))


def _usable(entry: Entry, folder: Folder, filters: Filters, account: Account) -> Entry | None:
    if filters.task is not None and entry.kind != filters.task:
        what = "regions instead of one text" if filters.task == "rec" else "one text instead of regions"
        account.drop(f"image with {what}", entry.source)
        return None
    if entry.image is None and not filters.keep_missing:
        account.drop("label of an image that was not found", f"{entry.source}: {entry.name}")
        return None
    entry = tidied(entry, folder, account)
    if entry.regions is not None:
        return replace(entry, regions=list(_usable_regions(entry, filters, account)))
    if entry.text is None or not entry.text.strip():
        account.drop("image without a text", entry.source)
        return None
    if strange := _strange(entry.text, filters):
        account.drop("image whose text has characters outside dictionary", f"{entry.source}: {strange!r}")
        return None
    if filters.min_height and entry.image is not None:
        try:
            height = entry.known_size()[1]
        except UnusableSample as error:
            account.drop("image that cannot be read", f"{entry.source}: {error}")
            return None
        if height < filters.min_height:
            account.drop("image lower than min_height", f"{entry.source}: {height} pixels")
            return None
    return entry


def _usable_regions(entry: Entry, filters: Filters, account: Account) -> Iterator[Region]:
    for region in entry.regions or ():
        if what := fault(region.points):
            account.drop(f"region {what}", f"{entry.source}: {region.text or ''}")
            continue
        if not region.ignored and filters.min_height and region_height(region) < filters.min_height:
            account.change("region lower than min_height, marked to be ignored", entry.source)
            region = replace(region, ignored=True)
        if not region.ignored and region.text is not None and (strange := _strange(region.text, filters)):
            account.change("region whose text has characters outside dictionary, marked to be ignored",
                           f"{entry.source}: {strange!r}")  # fmt: skip
            region = replace(region, ignored=True)
        yield region


def region_height(region: Region) -> float:
    """The height of a line in pixels: the shorter side of its quadrilateral."""
    points = region.points if len(region.points) == 4 else smallest_rectangle(region.points)
    corners = np.asarray(points, np.float64)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(min(sides[0] + sides[2], sides[1] + sides[3]) / 2)


def _strange(text: str, filters: Filters) -> str:
    """The characters of a text that are not among those of the charset."""
    if filters.characters is None:
        return ""
    return "".join(sorted(set(text) - filters.characters))


@dataclass(frozen=True, slots=True)
class Division:
    """How entries are divided into parts, and how many are taken.

    Args:
        split: the share for training; the rest is for validation. None: the parts of the source.
        split_by: what stays together: see ocrexp.data.split.ValSplit.
        seed: another one takes others.
        limit: the first ones only.
        sample: a random share below 1, or a number of random ones.
    """

    split: float | None = None
    split_by: str = "image"
    seed: int = 0
    limit: int | None = None
    sample: float | None = None


def divide(entries: Iterator[Entry], division: Division) -> list[str | None]:
    """The part of each entry, by its position; None: it is not taken.

    Raises DataError if no entry is there, or if they cannot be divided.
    """
    names: list[str] = []
    parts: list[str] = []
    for entry in entries:
        names.append(entry.name)
        parts.append(entry.split)
        if division.limit is not None and len(names) >= division.limit:
            break
    kept = np.ones(len(names), bool)
    if division.sample is not None:
        wanted = round(division.sample * len(names)) if division.sample < 1 else int(division.sample)
        order = sorted(range(len(names)), key=lambda i: _rank(division.seed, names[i]))
        kept[order[wanted:]] = False
    result: list[str | None] = [part or "train" for part in parts]
    if division.split is not None:
        places = [i for i in np.flatnonzero(kept).tolist() if parts[i] != "test"]
        by = ValSplit(round(1 - division.split, 9), division.split_by, division.seed)
        try:
            held = by.hold_out([names[i] for i in places])[0]
        except DataError as error:
            text = str(error).replace(f"val_split={by.share}", f"split={division.split}")
            raise DataError(text.replace("val_split_by", "split_by")) from None
        for i, is_held in zip(places, held.tolist(), strict=True):
            result[i] = "val" if is_held else "train"
    return [part if keep else None for part, keep in zip(result, kept.tolist(), strict=True)]


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0sample\0{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def check_division(division: Division) -> None:
    """Raises ConfigError for invalid values."""
    if division.split is not None:
        if not 0 < division.split < 1:
            raise ConfigError(f"split: expected a share above 0 and below 1, or null, got {division.split}")
        try:
            ValSplit(round(1 - division.split, 9), division.split_by, division.seed)
        except ValueError as error:
            raise ConfigError(str(error).replace("val_split_by", "split_by")) from None
    if division.limit is not None and division.limit < 1:
        raise ConfigError(f"limit: expected 1 or more, or null, got {division.limit}")
    if division.sample is not None and not division.sample > 0:
        raise ConfigError(f"sample: expected a share below 1 or a number of images, or null, got {division.sample}")
    if division.sample is not None and division.sample >= 1 and division.sample != int(division.sample):
        raise ConfigError(f"sample: expected a share below 1 or a whole number of images, got {division.sample}")
