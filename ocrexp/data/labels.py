"""Detection label files: PaddleOCR's JSON lines and the legacy comma lines, read whole, with every problem named.

JSON:   `path<TAB>[{"transcription": "word", "points": [[x, y], ...]}, ...]`; `[]` for an image without text.
Legacy: `path<TAB>x1,y1,x2,y2,x3,y3,x4,y4,text<TAB>...`; the text may hold commas.

Lines tell their format by themselves, so a file may mix them. `###` and `*` mark regions to ignore. Points are in
pixels of the upright image (after its EXIF turn), as PaddleOCR has them.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.errors import DataError
from ocrexp.types import Polygon

IGNORED_TEXTS = frozenset(("###", "*"))
_LEGACY_NUMBERS = 8
_FARTHEST = 1e6  # pixels; no image is as large
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
    """One good line. `names` are image paths as written, mostly one; each is an image with the same regions."""

    line: int
    names: tuple[str, ...]
    texts: tuple[str, ...]
    polygons: tuple[Polygon, ...]
    ignored: tuple[bool, ...]


@dataclass(slots=True)
class LabelFile:
    """What a label file holds."""

    path: Path
    data: bytes
    lines: list[LabelLine] = field(default_factory=list)
    problems: list[LabelProblem] = field(default_factory=list)


class _BadLine(Exception):
    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def read_label_file(path: Path) -> LabelFile:
    """Read a whole label file, good lines and problems apart.

    Raises DataError if the file is missing, not readable, or in UTF-16. Empty lines are passed over. What counts as a
    bad line: not UTF-8, no tab, broken JSON, no list of regions, a region without points or text (`null` is no text, a
    number is taken as it is written), fewer than three points, coordinates that are no finite numbers or beyond any
    image. A polygon without area loses its region only: nothing of the image is missing then.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"label file {path} does not exist{_nearby(path)}") from None
    except OSError as error:
        raise DataError(f"label file {path} cannot be read: {error.strerror}: give the path of a text file") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"label file {path} is in UTF-16: convert it, iconv -f utf-16 -t utf-8 {path.name} > new.txt")
    result = LabelFile(path, data)
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            result.lines.append(_read_line(number, raw.rstrip(b"\r"), path, result.problems))
        except _BadLine as bad:
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


def _read_line(number: int, raw: bytes, path: Path, problems: list[LabelProblem]) -> LabelLine:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _BadLine(
            f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8",
            f"convert the file, iconv -f latin1 -t utf-8 {path.name} > new.txt",
        ) from None
    name, tab, label = text.partition("\t")
    if not tab:
        raise _BadLine(
            f"no tab between image path and label in {_short(text)}", "put a tab character there, not blanks"
        )
    if not name.strip():
        raise _BadLine("no image path in front of the tab", "write the path relative to dataset.root")
    regions = _json_regions(label) if label.lstrip().startswith(("[", "{")) else _legacy_regions(label)
    texts, polygons = [], []
    for position, (points, transcription) in enumerate(regions, start=1):
        polygon = _polygon(points, position)
        if _area(polygon) == 0:
            problems.append(
                LabelProblem(
                    path, number, f"region {position} {_short(transcription)} has no area, it was left out",
                    "correct its points or remove it", fatal=False,
                )
            )  # fmt: skip
            continue
        polygons.append(polygon)
        texts.append(transcription)
    ignored = tuple(transcription in IGNORED_TEXTS for transcription in texts)
    return LabelLine(number, _names(name.strip()), tuple(texts), tuple(polygons), ignored)


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


def _json_regions(label: str) -> Iterator[tuple[Any, str]]:
    try:
        regions = json.loads(label)
    except json.JSONDecodeError as error:
        raise _BadLine(
            f"broken JSON at column {error.colno} of the label ({error.msg}): {_short(label[max(error.pos - 9, 0) :])}",
            "correct the line; text with quotes or backslashes must be escaped",
        ) from None
    if not isinstance(regions, list):
        raise _BadLine(
            "the label is not a list of regions", 'write [{"transcription": "word", "points": [[x, y], ...]}]'
        )
    for position, region in enumerate(regions, start=1):
        if not isinstance(region, dict) or "points" not in region or "transcription" not in region:
            raise _BadLine(
                f"region {position} has no points or no transcription: {_short(json.dumps(region))}",
                "give both, ### as transcription of a region to ignore",
            )
        text = region["transcription"]
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise _BadLine(
                f"the transcription of region {position} is no text: {_short(json.dumps(text))}",
                "write it in quotes, ### for a region to ignore",
            )
        yield region["points"], str(text)


def _legacy_regions(label: str) -> Iterator[tuple[Any, str]]:
    fields = [each for each in label.split("\t") if each.strip()]
    if not fields:
        raise _BadLine("no label behind the tab", "write [] for an image without text")
    for position, each in enumerate(fields, start=1):
        parts = each.split(",", _LEGACY_NUMBERS)
        if len(parts) < _LEGACY_NUMBERS:
            raise _BadLine(
                f"region {position} is neither JSON nor x1,y1,...,x4,y4,text: {_short(each)}",
                "write PaddleOCR's JSON, or eight coordinates and the text with commas between them",
            )
        text = parts[_LEGACY_NUMBERS] if len(parts) > _LEGACY_NUMBERS else ""
        yield [parts[i : i + 2] for i in range(0, _LEGACY_NUMBERS, 2)], text


def _polygon(points: Any, position: int) -> Polygon:
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise _BadLine(
            f"points of region {position} are not [x, y] pairs: {_short(str(points))}", "write [[x, y], ...]"
        )
    if len(points) < 3:
        raise _BadLine(
            f"region {position} has {len(points)} point{'s' if len(points) != 1 else ''}",
            "a polygon needs three or more",
        )
    try:
        numbers = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):  # the last of a whole number with hundreds of digits
        raise _BadLine(
            f"a coordinate of region {position} is no number: {_short(str(points))}", "write numbers"
        ) from None
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is named as such
        polygon = np.array(numbers, np.float32)
    if not np.isfinite(polygon).all():
        raise _BadLine(f"a coordinate of region {position} is NaN or infinite", "write pixels of the image")
    if np.abs(polygon).max() > _FARTHEST:
        raise _BadLine(
            f"a coordinate of region {position} is beyond ±{_FARTHEST:,.0f}: {_short(str(points))}",
            "write pixels of the image",
        )
    return polygon


def _area(polygon: Polygon) -> float:
    """Twice the area between the polygon's upright extent, 0 only if all points lie on a line.

    Not the signed area: that of a bow-tie may be 0 though it covers pixels.
    """
    points = polygon.astype(np.float64) - polygon[0]
    if len(points) == 3:
        return float(points[1, 0] * points[2, 1] - points[1, 1] * points[2, 0])
    return float(np.linalg.svd(points, compute_uv=False)[1] > 1e-9)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
