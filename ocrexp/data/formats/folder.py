"""The folder of a data set: its annotation files, its images, and which image a label is about."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from ocrexp.data.formats.addresses import names_in
from ocrexp.data.formats.safe_files import read_head, read_windows
from ocrexp.data.image_header import IMAGES
from ocrexp.files import exists

_GLANCE = 20_000  # files that are looked at to recognize a format
_HEAD = 1 << 16
_CROPS = "crop_img"  # PPOCRLabel writes the lines of labeled images there
_PIECES, _PIECE = 48, 1 << 12
_NUMBERS = re.compile(r"(\d+)")
_SPLIT = re.compile(r"(?:^|[^a-z])(train|val|dev|test|eval)(?:ing|id|idation|uation)?(?:[^a-z]|$)")
_SPLIT_NAMES = {"dev": "val", "eval": "val"}


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts `img_2` before `img_10`."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _NUMBERS.split(name) if part]


def split_of(name: str) -> str:
    """The part of a data set that a path names, `train`, `val` or `test`, the last one that does; "" if none does."""
    found = ""
    for part in name.lower().split("/"):
        for match in _SPLIT.finditer(part):
            found = _SPLIT_NAMES.get(match[1], match[1])
    return found


class Folder:
    """A data set on the disk: a folder, or one annotation file whose images are in its folder.

    Args:
        path: the folder or the file.
        images: where the images are, if they are elsewhere.
    """

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path = path
        self.only = None if path.is_dir() else path.name  # the annotation file that was named
        self.base = path if self.only is None else path.parent
        self.image_base = images or self.base
        self._all: list[str] | None = None
        self._seen: list[str] | None = None
        self._heads: dict[str, bytes] = {}
        self._probes: dict[str, str] = {}
        self._by_name: dict[str, list[str]] | None = None
        self._by_stem: dict[str, list[str]] = {}
        self._labeled: set[int] = set()  # hashes of the paths of images that a label is about
        self.ambiguous: set[str] = set()  # images that were chosen of several with the same name
        self.kept: dict[str, Any] = {}  # contents of large annotation files, which are read twice

    @property
    def seen(self) -> list[str]:
        """The first 20 000 files, for a glance."""
        if self._seen is None:
            self._seen = [self.only] if self.only else sorted(islice(_files(self.base), _GLANCE), key=natural)
        return self._seen

    def files(self, *suffixes: str) -> list[str]:
        """All annotation files with one of these suffixes, in their natural order."""
        if self.only:
            return [self.only]
        if self._all is None:
            self._all = sorted(_files(self.base), key=natural)
        return [name for name in self._all if name.lower().endswith(suffixes)]

    def like(self, pattern: str) -> list[str]:
        """Those of `seen` whose name, without folders, matches the expression as a whole."""
        test = re.compile(pattern, re.IGNORECASE)
        return [name for name in self.seen if test.fullmatch(name.rpartition("/")[2])]

    def head(self, name: str) -> str:
        """The beginning of a file as text."""
        if name not in self._heads:
            self._heads[name] = read_head(self.base / name, _HEAD)
        return self._heads[name].decode("utf-8", "replace").lstrip("\ufeff")

    def probe(self, name: str) -> str:
        """The beginning of a file and pieces of the rest: a large JSON file has its parts one after the other."""
        head = self.head(name)
        if len(self._heads[name]) < _HEAD:
            return head
        if name not in self._probes:
            self._probes[name] = read_windows(self.base / name, _PIECES, _PIECE).decode("utf-8", "replace")
        return head + self._probes[name]

    def raw_head(self, name: str) -> bytes:
        """The beginning of a file."""
        self.head(name)
        return self._heads[name]

    def first_lines(self, name: str, most: int = 5) -> list[str]:
        """The first lines of a text file that are not blank."""
        lines = (line for line in self.head(name).splitlines() if line.strip())
        return list(islice(lines, most))

    # Images.

    def image(self, name: str, label: str = "") -> Path | None:
        """The image that a label names, by a path or an address: relative to the images' folder, to the label's, or
        anywhere below by name. Names may differ in Unicode's normal form, and by case where there is no other."""
        names = names_in(name)
        near = (self.base / label).parent
        for plain in names:
            for place in (self.image_base / plain, near / plain):
                if exists(place) and place.is_file():
                    return self._found(place)
        self._index()
        assert self._by_name is not None
        for plain in names:
            if found := self._best(_named(self._by_name, plain.rpartition("/")[2]), plain, label):
                return self._found(found)
        return None

    def image_of(self, stem: str, label: str = "", wanted: str = "") -> Path | None:
        """The image with this name without its suffix, or with it: some programs name labels `a.jpg.json`. Of several,
        the one whose path is most like the label's."""
        self._index()
        assert self._by_name is not None
        names = _named(self._by_stem, stem) or _named(self._by_name, stem)
        return self._found(self._best(names, wanted, label))

    def unlabeled(self, others: Sequence[Folder] = ()) -> list[str]:
        """The images that no label was about so far, neither here nor in other data sets; none where one annotation
        file was named, or where the folder is large and was not listed."""
        if self.only is not None or (self._by_name is None and len(self.seen) >= _GLANCE):
            return []
        self._index()
        assert self._by_name is not None
        labeled = self._labeled.union(*(other._labeled for other in others))
        names = [name for same in self._by_name.values() for name in same if _CROPS not in name.split("/")]
        return [name for name in dict.fromkeys(names) if hash(os.path.normpath(self.image_base / name)) not in labeled]

    def _found(self, image: Path | None) -> Path | None:
        if image is not None:
            self._labeled.add(hash(os.path.normpath(image)))
        return image

    def has_images(self) -> bool:
        """Whether there is any image."""
        self._index()
        return bool(self._by_name)

    def below(self, path: Path) -> str:
        """A path as it is below the folder, with slashes."""
        for base in (self.image_base, self.base):
            if path.is_relative_to(base):
                return path.relative_to(base).as_posix()
        return path.name

    def _index(self) -> None:
        if self._by_name is not None:
            return
        self._by_name = {}
        for name in _files(self.image_base):
            path = PurePosixPath(name)
            if path.suffix.lower() in IMAGES:
                for names, own in ((self._by_name, path.name), (self._by_stem, path.stem)):
                    for key in {_nfc(own), _nfc(own).casefold()}:
                        names.setdefault(key, []).append(name)

    def _best(self, names: list[str], wanted: str, label: str) -> Path | None:
        if not names:
            return None
        if len(names) == 1:
            return self.image_base / names[0]
        wanted_parts = wanted.split("/")[:-1]
        place = self.base / label
        below = place.relative_to(self.image_base).as_posix() if place.is_relative_to(self.image_base) else label
        folder = below.rpartition("/")[0]
        folders = folder.split("/")

        def likeness(name: str) -> tuple[int, int, int, int]:
            parts = name.split("/")[:-1]
            same_end = _common(parts[::-1], wanted_parts[::-1])
            same_split = int(split_of(name) == split_of(f"{folder}/x"))
            # labels/a/1.txt is about images/a/1.jpg
            return same_end, same_split, len({*parts} & {*folders}), _common(parts, folders)

        ranked = sorted(names, key=lambda name: (likeness(name), [-ord(c) for c in name]), reverse=True)
        if likeness(ranked[0]) == likeness(ranked[1]):
            self.ambiguous.add(ranked[0])
        return self.image_base / ranked[0]


def _named(names: dict[str, list[str]], name: str) -> list[str]:
    """The files with a name as it is written, else with that name in any case."""
    found = names.get(_nfc(name)) or names.get(_nfc(name).casefold()) or []
    if len(found) > 1:
        exact = [one for one in found if name in (PurePosixPath(one).name, PurePosixPath(one).stem)]
        return exact or found
    return found


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _common(first: list[str], second: list[str]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _files(base: Path) -> Iterator[str]:
    """Files below a folder, nearest first, without hidden ones; links to folders are followed once."""
    pending, visited = [""], set()
    while pending:
        folder = pending.pop(0)
        try:
            status = (base / folder).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(base / folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                pending.append(name)
            else:
                yield name
