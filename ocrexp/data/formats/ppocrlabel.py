"""PPOCRLabel's folder: `Label.txt`, `fileState.txt`, `Cache.cach` and `rec_gt.txt` beside the images.

Paths begin with the name of the folder itself (`photos/a.jpg` in `photos/Label.txt`), or are those of the images alone.
`difficult` marks regions to ignore and keeps their text; a box that nobody has typed into has the text 待识别 or
TEMPORARY. Images of `Label.txt` that `fileState.txt` does not name were not confirmed; they are counted and used.
`Cache.cach` contains the labels of a model. The program shows them; when it saves, it writes the images that a person
has confirmed to `Label.txt`. The others are counted and not used. A confirmed image without a region is in
`fileState.txt` only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.paddleocr import read_list
from ocrexp.data.formats.safe_files import read_lines
from ocrexp.data.formats.shapes import as_pairs
from ocrexp.data.formats.writer import Writer

LABELS, STATE, CACHE, CROPS = "Label.txt", "fileState.txt", "Cache.cach", "rec_gt.txt"
UNREAD = "TEMPORARY"
_UNREAD = ("待识别", UNREAD)
# Suffixes that the program lists: those of Qt's image plugins that OpenCV decodes too.
_SUFFIXES = frozenset((".bmp", ".jpg", ".jpeg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
# When the program reads a line, it replaces these words by Python's, also within texts (its loadLabelFile).
_REPLACED = re.compile(r"(\\?)(false|true|null)|\\.")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(LABELS.lower()):
        if name.rpartition("/")[2] != LABELS and not folder.only:
            continue
        state = folder.base / name.replace(LABELS, STATE)
        confirmed = None
        if state.is_file() and state.name == STATE:
            lines = (line.partition("\t") for _, line in read_lines(state, account))
            confirmed = {_base(path): path.strip() for path, _, value in lines if value.strip() == "1"}
        listed = set()
        for entry in read_list(folder, name, regions=True, account=account):
            if confirmed is not None and _base(entry.name) not in confirmed:
                account.change("image that fileState.txt does not mark as confirmed, used all the same", entry.source)
            listed.add(_base(entry.name))
            entry.split = ""
            for region in entry.regions or ():
                if region.text in _UNREAD:
                    region.text = None
                    account.change("region whose text was not typed, read as one without a text", entry.source)
            yield entry
        for base, path in (confirmed or {}).items():
            if base not in listed and (image := folder.image(base, name)) is not None:
                listed.add(base)
                yield Entry(folder.below(image), image, [], source=f"{state}: {path}")
        cache = state.with_name(CACHE)
        if cache.is_file() and state.name == STATE:
            for number, line in read_lines(cache, account):
                if _base(line.partition("\t")[0]) not in listed:
                    account.drop("image with a model's labels that nobody has confirmed", f"{cache}:{number}")


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2].strip()


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r"Label\.txt"):
        if "\t" in folder.head(name) or (folder.base / name).with_name(CACHE).exists():
            beside = [other for other in (STATE, CACHE, CROPS) if (folder.base / name).with_name(other).exists()]
            return Guess(0.97, f"{name} is named as its labels" + (f", beside {', '.join(beside)}" if beside else ""))
    return NO


class PPOCRLabelWriter(Writer):
    """Writes a folder that PPOCRLabel opens: images, Label.txt, and fileState.txt, which marks all as confirmed.

    A draft has its labels in Cache.cach and no confirmed image: PPOCRLabel removes the others from Label.txt.
    """

    has_language = True
    attributes = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._files = {
            name: (self.folder / name).open("w", encoding="utf-8", newline="\n")
            for name in (LABELS, STATE, *((CACHE,) if self.options.draft else ()))
        }

    def put(self, entry: Entry) -> bool:
        """A line of each file; PPOCRLabel finds images by the name of their folder."""
        entry.name = entry.name.rpartition("/")[2]  # PPOCRLabel does not look into folders
        name = self.images.put(entry, "")
        path = f"{self.images.final.name}/{name}"
        if PurePosixPath(name).suffix.lower() not in _SUFFIXES:
            self.account.change(
                "image of a kind that PPOCRLabel does not list; convert it to JPEG or PNG", entry.source
            )
        values = [_value(self, region, entry.source) for region in entry.regions or ()]
        label = _STRING.sub(_protected, json.dumps(values, ensure_ascii=False))
        self._files[CACHE if self.options.draft else LABELS].write(f"{path}\t{label}\n")
        if not self.options.draft:
            self._files[STATE].write(f"{self.images.final.absolute() / name}\t1\n")
        return True

    def close(self) -> None:
        """The files are complete."""
        for file in self._files.values():
            file.close()


def _protected(string: re.Match[str]) -> str:
    """A JSON string with the first letter of such words as its code, which Python and JSON read alike."""

    def escape(found: re.Match[str]) -> str:
        if found[2] is None:
            return found[0]
        first = json.loads(f'"{found[1]}{found[2][0]}"')  # after a backslash: a form feed, a tab or a newline
        return f"\\u{ord(first):04x}{found[2][1:]}"

    return _REPLACED.sub(escape, string[0])


def _value(writer: Writer, region: Region, place: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "transcription": writer.text(region, place),
        "points": as_pairs(region.points),
        "difficult": region.ignored,
    }
    if region.language:
        value["language"] = region.language
    return value | region.extra


FORMATS = [
    Format("ppocrlabel", "PPOCRLabel", DET, "Label.txt, fileState.txt, Cache.cach beside the images", _recognize, _read,
           PPOCRLabelWriter),
]  # fmt: skip
