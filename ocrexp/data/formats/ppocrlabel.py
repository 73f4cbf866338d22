"""PPOCRLabel's folder: `Label.txt`, `fileState.txt` and `rec_gt.txt` beside the images.

Paths begin with the name of the folder itself (`photos/a.jpg` in `photos/Label.txt`), or are those of the images alone.
`difficult` marks regions to ignore and keeps their text; a box that nobody has typed into has the text 待识别 or
TEMPORARY. Images that `fileState.txt` does not name were not confirmed; they are counted and used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.paddleocr import read_list
from ocrexp.data.formats.safe_files import read_lines
from ocrexp.data.formats.shapes import as_pairs
from ocrexp.data.formats.writer import Writer

LABELS, STATE, CROPS = "Label.txt", "fileState.txt", "rec_gt.txt"
_UNREAD = ("待识别", "TEMPORARY")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(LABELS.lower()):
        if name.rpartition("/")[2] != LABELS and not folder.only:
            continue
        state = folder.base / name.replace(LABELS, STATE)
        confirmed = None
        if state.is_file() and state.name == STATE:
            lines = (line.partition("\t") for _, line in read_lines(state, account))
            confirmed = {_base(path) for path, _, value in lines if value.strip() == "1"}
        for entry in read_list(folder, name, regions=True, account=account):
            if confirmed is not None and _base(entry.name) not in confirmed:
                account.change("image that fileState.txt does not mark as confirmed, used all the same", entry.source)
            entry.split = ""
            for region in entry.regions or ():
                if region.text in _UNREAD:
                    region.text = None
                    account.change("region whose text was not typed, read as one without a text", entry.source)
            yield entry


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2].strip()


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r"Label\.txt"):
        if "\t" in folder.head(name):
            beside = [other for other in (STATE, "Cache.cach", CROPS) if (folder.base / name).with_name(other).exists()]
            return Guess(0.97, f"{name} is named as its labels" + (f", beside {', '.join(beside)}" if beside else ""))
    return NO


class PPOCRLabelWriter(Writer):
    """Writes a folder that PPOCRLabel opens: images, Label.txt, and fileState.txt, which marks all as confirmed."""

    has_language = has_extra = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._labels = (self.folder / LABELS).open("w", encoding="utf-8", newline="\n")
        self._state = (self.folder / STATE).open("w", encoding="utf-8", newline="\n")

    def put(self, entry: Entry) -> bool:
        """A line of each file; PPOCRLabel finds images by the name of their folder."""
        entry.name = entry.name.rpartition("/")[2]  # PPOCRLabel does not look into folders
        name = self.images.put(entry, "")
        path = f"{self.images.final.name}/{name}"
        values = [_value(self, region, entry.source) for region in entry.regions or ()]
        self._labels.write(f"{path}\t{json.dumps(values, ensure_ascii=False)}\n")
        self._state.write(f"{self.images.final.absolute() / name}\t1\n")
        return True

    def close(self) -> None:
        """The files are complete."""
        self._labels.close()
        self._state.close()


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
    Format("ppocrlabel", "PPOCRLabel", DET, "Label.txt, fileState.txt beside the images", _recognize, _read,
           PPOCRLabelWriter),
]  # fmt: skip
