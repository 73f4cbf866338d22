"""PaddleOCR's lists: `path<TAB>[{"transcription": …, "points": …}]` per page, `path<TAB>text` per word or line.

What is wrong with a line is what training reports of it (ocrexp.data.labels, ocrexp.data.rec_labels).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats.base import Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.shapes import as_pairs, points_of
from ocrexp.data.formats.writer import Writer
from ocrexp.data.label_file import LabelFile, split_names
from ocrexp.data.labels import IGNORED_TEXTS, read_label_file
from ocrexp.data.rec_labels import read_rec_label_file
from ocrexp.errors import DataError

_STATE = "filestate.txt"  # PPOCRLabel's note of what was checked
_OWN_KEYS = frozenset(("transcription", "points", "language", "difficult"))


def is_region_list(folder: Folder, name: str) -> bool | None:
    """Whether a file is a list of regions (True) or of texts (False); None if it is not a list."""
    lines = folder.first_lines(name, 20)
    labels = [line.partition("\t")[2].strip() for line in lines if line.partition("\t")[0].strip() and "\t" in line]
    if not labels or 2 * len(labels) < len(lines):
        return None
    found = sum(label.startswith(("[{", "[]")) or (label[:1] == "[" and '"points"' in label) for label in labels)
    return 2 * found > len(labels)


def lists(folder: Folder) -> dict[str, bool]:
    """The lists of a folder, nearest first, and whether each is one of regions."""
    found = {}
    for name in folder.seen:
        if not name.lower().endswith((".txt", ".json")) or name.lower().endswith(_STATE):
            continue
        if (regions := is_region_list(folder, name)) is not None:
            found[name] = regions
    if not found:
        return {}
    nearest = min(name.count("/") for name in found)
    return {name: regions for name, regions in found.items() if name.count("/") == nearest}


def _recognize(folder: Folder) -> Guess:
    found = lists(folder)
    if not found:
        return NO
    name, regions = next(iter(found.items()))
    what = "regions in JSON" if regions else "a text"
    below = 0.15 if "/" in name else 0.0
    return Guess((0.85 if regions else 0.75) - below, f"{name} has lines of a path, a tab and {what}")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    found = lists(folder)
    if len(set(found.values())) > 1:
        kinds = "; ".join(f"{name}: {'regions' if regions else 'texts'}" for name, regions in found.items())
        raise DataError(f"{folder.path}: has lists of regions and of texts ({kinds}); name one of them as root")
    for name, regions in found.items():
        yield from read_list(folder, name, regions, account)


def read_list(folder: Folder, name: str, regions: bool, account: Account) -> Iterator[Entry]:
    """The entries of one list; bad lines are dropped with their place."""
    path = folder.base / name
    file = read_label_file(path) if regions else read_rec_label_file(path)
    for problem in file.problems:
        if problem.fatal:
            account.drop("line that cannot be read", str(problem))
    account.drop("line that cannot be read", "…", file.bad - sum(problem.fatal for problem in file.problems))
    for index in file.kept.tolist():
        yield from _entries(folder, name, file, index, regions)


def _entries(folder: Folder, name: str, file: LabelFile, index: int, regions: bool) -> Iterator[Entry]:
    line = file.line(index)
    where = f"{file.path}:{line.line}"
    label = file.packed[index].decode("utf-8").partition("\t")[2]
    for image in split_names(file.packed[index].partition(b"\t")[0].decode("utf-8")):
        found = folder.image(image, name)
        shown = folder.below(found) if found else image.replace("\\", "/")
        entry = Entry(shown, found, split=split_of(name.rpartition("/")[2]), source=where)
        if not regions:
            entry.text = line.texts[0]
        elif label.lstrip().startswith("["):
            entry.regions = [region_of(value) for value in json.loads(label)]
        else:
            entry.regions = [
                _region(text, [(float(x), float(y)) for x, y in polygon])
                for text, polygon in zip(line.texts, line.polygons, strict=True)
            ]
        yield entry


def region_of(value: dict[str, Any]) -> Region:
    """A region as lists of PaddleOCR and PPOCRLabel have it. Raises ValueError."""
    region = _region(str(value["transcription"]), points_of(value["points"]))
    region.ignored = region.ignored or value.get("difficult") is True
    region.language = str(value.get("language") or "")
    region.extra = {key: item for key, item in value.items() if key not in _OWN_KEYS}
    return region


def _region(text: str, points: list[tuple[float, float]]) -> Region:
    ignored = text in IGNORED_TEXTS
    return Region(points, None if text == "###" else text, ignored)


def label_of(writer: Writer, entry: Entry) -> list[dict[str, Any]]:
    """The regions of an entry as a list has them."""
    values = []
    for region in entry.regions or ():
        text = writer.text(region, entry.source)
        if region.ignored and text not in IGNORED_TEXTS:
            writer.account.change("text of an ignored region, written as '###'", entry.source)
            text = "###"
        elif not region.ignored and text in IGNORED_TEXTS:
            writer.account.change(f"text {text!r}, which marks ignored regions in PaddleOCR's lists", entry.source)
        value: dict[str, Any] = {"transcription": text, "points": as_pairs(region.points)}
        if region.language:
            value["language"] = region.language
        values.append(value | region.extra)
    return values


class ListWriter(Writer):
    """Writes `train_list.txt` and others: regions or texts, whichever comes first."""

    kinds = ("det", "rec")
    has_language = True
    attributes = None
    own_folder = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._file = (self.folder / f"{self.split}_list.txt").open("w", encoding="utf-8", newline="\n")

    def put(self, entry: Entry) -> bool:
        """One line."""
        if entry.regions is not None:
            label = json.dumps(label_of(self, entry), ensure_ascii=False)
        else:
            assert entry.text is not None
            label = " ".join(entry.text.splitlines()).replace("\t", " ")
            if label != entry.text:
                self.account.change("text with a tab or a line end, written as a space", entry.source)
            if not label.strip():
                self.account.drop("image with an empty text", entry.source)
                return False
        name = self.images.refer(entry)
        if any(character in name for character in "\t\r\n"):
            self.account.drop("image whose name has a tab or a line end", entry.source)
            return False
        self._file.write(f"{name}\t{label}\n")
        return True

    def close(self) -> None:
        """The file is complete."""
        self._file.close()


FORMATS = [
    Format(
        "paddleocr", "PaddleOCR's lists", ("det", "rec"), "train_list.txt: path, tab, regions in JSON or a text",
        _recognize, _read, ListWriter,
    ),
]  # fmt: skip
