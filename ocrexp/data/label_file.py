"""What all label files share: one line an image, the path and a tab in front, every fault named with its line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ocrexp.errors import DataError
from ocrexp.types import Polygon

_SHOWN = 60  # characters of a broken line in a message


@dataclass(frozen=True, slots=True)
class LabelProblem:
    """A fault of a label file: where, what, and the mend.

    `fatal`: the whole line was left out, not one region of it.
    """

    file: Path
    line: int
    what: str
    mend: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.mend}"


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One good line. `names` are image paths as written, mostly one; each is an image with the same label.

    Detection has one text a region; recognition has one text and no polygons.
    """

    line: int
    names: tuple[str, ...]
    texts: tuple[str, ...]
    polygons: tuple[Polygon, ...] = ()
    ignored: tuple[bool, ...] = ()


@dataclass(slots=True)
class LabelFile:
    """What a label file holds."""

    path: Path
    data: bytes
    lines: list[LabelLine] = field(default_factory=list)
    problems: list[LabelProblem] = field(default_factory=list)


class BadLine(Exception):
    """A line that cannot be used: what is wrong with it, and the mend."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


# (line number, image paths, what stands behind the tab, the file's faults so far) -> the line
ParseLabel = Callable[[int, tuple[str, ...], str, LabelFile], LabelLine]


def read_lines(path: Path, parse: ParseLabel) -> LabelFile:
    """Read a whole label file, good lines and problems apart.

    Lines end with LF or CR LF; a byte order mark is passed over, and so are empty lines. Raises DataError if the file
    is missing, not readable, or in UTF-16. Bad is a line that is not UTF-8, has no tab or no path in front of it, or
    for which `parse` raises BadLine.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"label file {path} does not exist{_nearby(path)}") from None
    except OSError as error:
        raise DataError(f"label file {path} cannot be read: {error.strerror}: give the path of a text file") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:1024]:
        raise DataError(f"label file {path} is in UTF-16: convert it, iconv -f utf-16 -t utf-8 {path.name} > new.txt")
    result = LabelFile(path, data)
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            names, label = _split(raw.removesuffix(b"\r"), path)
            result.lines.append(parse(number, names, label, result))
        except BadLine as bad:
            result.problems.append(LabelProblem(path, number, bad.what, bad.mend))
    return result


def _nearby(path: Path) -> str:
    """A hint at what does exist, for a missing file."""
    import difflib

    folder = path.parent
    if not folder.is_dir():
        return f": its folder {folder} does not exist either: set dataset.root"
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f": did you mean {close[0]}?"
    lists = sorted(name for name in names if name.endswith((".txt", ".tsv", ".jsonl")))[:5]
    return f": {folder} holds {', '.join(lists)}" if lists else f": {folder} holds no list; set dataset.root"


def _split(raw: bytes, path: Path) -> tuple[tuple[str, ...], str]:
    """Image paths, and what stands behind the first tab."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadLine(
            f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8",
            f"convert the file, iconv -f latin1 -t utf-8 {path.name} > new.txt",
        ) from None
    name, tab, label = text.partition("\t")
    if not tab:
        raise BadLine(f"no tab between image path and label in {short(text)}", "put a tab character there, not blanks")
    if not name.strip():
        raise BadLine("no image path in front of the tab", "write the path relative to dataset.root")
    return _names(name.strip()), label


def _names(name: str) -> tuple[str, ...]:
    """PaddleOCR also takes a JSON list of images that share one label."""
    if name.startswith("["):
        try:
            names = json.loads(name)
        except json.JSONDecodeError:
            return (name,)  # a file name may begin with a bracket
        if isinstance(names, list) and names and all(isinstance(each, str) for each in names):
            return tuple(names)
    return (name,)


def short(text: str) -> str:
    """A text for a message, cut where it is long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
