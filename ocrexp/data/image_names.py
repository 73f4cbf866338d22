"""Which images of a list exist, and where: folders are listed once, as a stat for each image is slow on network disks.

Names are compared as they are written first; then as macOS writes accents (NFD) or as everyone else does (NFC).
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.files import exists

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # C:\ or \\server


def image_path(root: Path, name: str) -> Path:
    """The path of an image as a list names it: relative to the root, with separators of Windows taken too."""
    return root / name.replace("\\", "/")


class ImageNames:
    """Looks images of lists up below a root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, npt.NDArray[np.int64]] = {}
        self._normal: dict[Path, dict[str, str]] = {}

    def find(self, names: Sequence[str]) -> tuple[npt.NDArray[np.bool_], dict[int, Path]]:
        """Which images exist, and the paths of those that are written otherwise on the disk, by their positions."""
        names = [name.replace("\\", "/") for name in names]
        found = self._exist(names)
        others = {}
        for i in np.flatnonzero(~found).tolist():
            if not names[i].isascii() and (path := self._otherwise(names[i])) is not None:
                others[i] = path
                found[i] = True
        return found, others

    def _exist(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        groups: dict[str, tuple[list[int], list[int]]] = {}
        for i, name in enumerate(names):
            folder, _, base = name.rpartition("/")
            group = groups.get(folder)
            if group is None:
                groups[folder] = group = ([], [])
            group[0].append(i)
            group[1].append(hash(base))
        found = np.zeros(len(names), bool)
        for folder, (places, bases) in groups.items():
            known = self._listed(folder)
            if len(known):
                wanted = np.array(bases, np.int64)
                near = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
                found[places] = known[near] == wanted
        return found

    def _listed(self, folder: str) -> npt.NDArray[np.int64]:
        """Sorted hashes of the names in a folder: a million names would take 100 MB, and what a hash takes for a file
        that is none, once in a trillion lists, is counted when it cannot be opened."""
        if folder not in self._folders:
            # A name like "/a.jpg" has an empty folder, and is one of the file system's root.
            path = self._root / (folder or ".")
            try:
                with os.scandir(path) as entries:
                    listed = np.fromiter((hash(entry.name) for entry in entries), np.int64)
            except (OSError, ValueError):  # no such folder: nothing in it exists
                listed = np.zeros(0, np.int64)
            self._folders[folder] = np.sort(listed)
        return self._folders[folder]

    def _otherwise(self, name: str) -> Path | None:
        """The file whose name differs in Unicode's normal form alone; None if there is none."""
        path = self._root
        for part in Path(name).parts:
            if part in ("..", "/") or part.isascii():
                path = path / part
                continue
            if path not in self._normal:
                try:
                    entries = [entry.name for entry in path.iterdir()]
                except OSError:
                    entries = []
                self._normal[path] = {_nfc(entry): entry for entry in entries if not entry.isascii()}
            entry = self._normal[path].get(_nfc(part))
            if entry is None:
                return None
            path = path / entry
        return path if exists(path) else None


def moved_advice(name: str, root: Path, labels: Path) -> str | None:
    """What to do about an absolute path, of Windows or of another machine, that does not exist; None for other ones."""
    if not _DRIVE.match(name) and not name.startswith("/"):
        return None
    plain = name.replace("\\", "/")
    for at in (i for i, character in enumerate(plain) if character == "/"):
        rest = plain[at + 1 :]
        if rest and not rest.startswith("/") and exists(root / rest):
            pattern = re.sub(r"([\\.*^$\[\]#])", r"\\\1", name[: at + 1])
            return (
                f"the list has absolute paths of another machine, but {root / rest} exists; remove what is before: "
                f"sed -i {shlex.quote(f's#^{pattern}##')} {shlex.quote(str(labels))}"
            )
    what = "Windows" if _DRIVE.match(name) else "another machine"
    return f"the list has absolute paths of {what}; write paths relative to the root folder, with / between folders"


class SimilarNames:
    """Finds images whose name differs from that of a list by case, suffix or quotes only.

    Args:
        root: the folder that paths start from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, dict[str, str]] = {}  # of each folder, by their stem without case

    def advice(self, name: str) -> str | None:
        """What to do about an image that does not exist; None where there is no similar name."""
        path = image_path(self._root, name.strip("\"'"))
        if path.parent not in self._names:
            try:
                names = sorted(os.listdir(path.parent))  # noqa: PTH208  # may hold a million names
            except OSError:
                names = []
            self._names[path.parent] = {Path(each).stem.casefold(): each for each in names}
        found = self._names[path.parent].get(path.stem.casefold())
        if found is None:
            return None
        if found == path.name:
            return "remove the quotes around the path"
        return f"its folder contains {found!r}; correct the name in the list"


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
