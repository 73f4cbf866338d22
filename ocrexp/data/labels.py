"""Detection label files: PaddleOCR's JSON lines and the legacy comma lines, read whole, with every problem named.

JSON:   `path<TAB>[{"transcription": "word", "points": [[x, y], ...]}, ...]`; `[]` for an image without text.
Legacy: `path<TAB>x1,y1,x2,y2,x3,y3,x4,y4,text<TAB>...`; the text may hold commas.

Lines tell their format by themselves, so a file may mix them. `###` and `*` mark regions to ignore. Points are in
pixels of the upright image (after its EXIF turn), as PaddleOCR has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.data.label_file import BadLine, LabelFile, LabelLine, LabelProblem, read_lines, short
from ocrexp.types import Polygon

IGNORED_TEXTS = frozenset(("###", "*"))
_LEGACY_NUMBERS = 8
_FARTHEST = 1e6  # pixels; no image is as large


def read_label_file(path: Path) -> LabelFile:
    """Read a whole detection label file, good lines and problems apart.

    Raises what `read_lines` raises. What counts as a bad line: not UTF-8, no tab, broken JSON, no list of regions, a
    region without points or text (`null` is no text, a number is taken as it is written), fewer than three points,
    coordinates that are no finite numbers or beyond any image. A polygon without area loses its region only: nothing of
    the image is missing then.
    """
    return read_lines(path, _parse)


def _parse(number: int, names: tuple[str, ...], label: str, file: LabelFile) -> LabelLine:
    regions = _json_regions(label) if label.lstrip().startswith(("[", "{")) else _legacy_regions(label)
    texts, polygons = [], []
    for position, (points, transcription) in enumerate(regions, start=1):
        polygon = _polygon(points, position)
        if _area(polygon) == 0:
            file.problems.append(
                LabelProblem(
                    file.path, number, f"region {position} {short(transcription)} has no area, it was left out",
                    "correct its points or remove it", fatal=False,
                )
            )  # fmt: skip
            continue
        polygons.append(polygon)
        texts.append(transcription)
    ignored = tuple(transcription in IGNORED_TEXTS for transcription in texts)
    return LabelLine(number, names, tuple(texts), tuple(polygons), ignored)


def _json_regions(label: str) -> Iterator[tuple[Any, str]]:
    try:
        regions = json.loads(label)
    except json.JSONDecodeError as error:
        raise BadLine(
            f"broken JSON at column {error.colno} of the label ({error.msg}): {short(label[max(error.pos - 9, 0) :])}",
            "correct the line; text with quotes or backslashes must be escaped",
        ) from None
    if not isinstance(regions, list):
        raise BadLine(
            "the label is not a list of regions", 'write [{"transcription": "word", "points": [[x, y], ...]}]'
        )
    for position, region in enumerate(regions, start=1):
        if not isinstance(region, dict) or "points" not in region or "transcription" not in region:
            raise BadLine(
                f"region {position} has no points or no transcription: {short(json.dumps(region))}",
                "give both, ### as transcription of a region to ignore",
            )
        text = region["transcription"]
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise BadLine(
                f"the transcription of region {position} is no text: {short(json.dumps(text))}",
                "write it in quotes, ### for a region to ignore",
            )
        yield region["points"], str(text)


def _legacy_regions(label: str) -> Iterator[tuple[Any, str]]:
    fields = [each for each in label.split("\t") if each.strip()]
    if not fields:
        raise BadLine("no label behind the tab", "write [] for an image without text")
    for position, each in enumerate(fields, start=1):
        parts = each.split(",", _LEGACY_NUMBERS)
        if len(parts) < _LEGACY_NUMBERS:
            raise BadLine(
                f"region {position} is neither JSON nor x1,y1,...,x4,y4,text: {short(each)}",
                "write PaddleOCR's JSON, or eight coordinates and the text with commas between them",
            )
        text = parts[_LEGACY_NUMBERS] if len(parts) > _LEGACY_NUMBERS else ""
        yield [parts[i : i + 2] for i in range(0, _LEGACY_NUMBERS, 2)], text


def _polygon(points: Any, position: int) -> Polygon:
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadLine(f"points of region {position} are not [x, y] pairs: {short(str(points))}", "write [[x, y], ...]")
    if len(points) < 3:
        raise BadLine(
            f"region {position} has {len(points)} point{'s' if len(points) != 1 else ''}",
            "a polygon needs three or more",
        )
    try:
        numbers = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):  # the last of a whole number with hundreds of digits
        raise BadLine(
            f"a coordinate of region {position} is no number: {short(str(points))}", "write numbers"
        ) from None
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is named as such
        polygon = np.array(numbers, np.float32)
    if not np.isfinite(polygon).all():
        raise BadLine(f"a coordinate of region {position} is NaN or infinite", "write pixels of the image")
    if np.abs(polygon).max() > _FARTHEST:
        raise BadLine(
            f"a coordinate of region {position} is beyond ±{_FARTHEST:,.0f}: {short(str(points))}",
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
