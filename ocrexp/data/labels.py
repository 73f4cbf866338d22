"""Detection label files: PaddleOCR's JSON lines and the legacy comma lines, read whole, with every problem named.

JSON:   `path<TAB>[{"transcription": "word", "points": [[x, y], ...]}, ...]`; `[]` for an image without text.
Legacy: `path<TAB>x1,y1,x2,y2,x3,y3,x4,y4,text<TAB>...`; the text may hold commas.

The format is recognized line by line, so a file may mix formats. `###` and `*` mark regions to ignore. Points are in
pixels of the upright image (after its EXIF turn), as PaddleOCR has them.
"""

from __future__ import annotations

import json
import json.scanner
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.label_file import LabelFile, read_lines
from ocrexp.data.label_format import LONGEST_TEXT, BadLine, Checked, LabelFormat, LabelLine, LabelProblem, short
from ocrexp.types import Polygon

IGNORED_TEXTS = frozenset(("###", "*"))
_LEGACY_NUMBERS = 8
_FARTHEST = 1e6  # pixels; no image is as large
_MOST_POINTS = 2000  # of a polygon; beyond it, targets take minutes
_MOST_REGIONS = 20_000  # of an image
_FLAT = 1e-9  # share of the squared extent: what is flatter is looked at exactly


def read_label_file(path: Path) -> LabelFile:
    """Read a whole detection label file, good lines and problems apart.

    Raises what `read_lines` raises. What counts as a bad line: not UTF-8, no tab, broken JSON, no list of regions, a
    region without points or text (`null` is invalid, a number is used as it is written), fewer than three points,
    coordinates that are not finite or lie outside of any image, more points or regions than any image has. A polygon
    without area loses its region only: nothing of the image is missing then.
    """
    return read_lines(path, RegionFormat())


class RegionFormat(LabelFormat):
    """Regions with polygons and texts behind the tab."""

    def parse(
        self, number: int, names: tuple[str, ...], label: str, path: Path
    ) -> tuple[LabelLine, list[LabelProblem]]:
        """Regions with polygons; those without area are dropped."""
        regions = _json_regions(label) if label.lstrip().startswith(("[", "{")) else _legacy_regions(label)
        texts, polygons, dropped = [], [], []
        for position, (points, transcription) in enumerate(regions, start=1):
            if position > _MOST_REGIONS:
                raise BadLine(f"more than {_MOST_REGIONS} regions", "is it the label of one image?")
            polygon = _polygon(points, position)
            if _area(polygon) == 0:
                dropped.append(
                    LabelProblem(
                        path, number, f"region {position} {short(transcription)} has no area and is dropped",
                        "correct its points or remove it", fatal=False,
                    )
                )  # fmt: skip
                continue
            polygons.append(polygon)
            texts.append(transcription)
        ignored = tuple(transcription in IGNORED_TEXTS for transcription in texts)
        return LabelLine(number, names, tuple(texts), tuple(polygons), ignored), dropped

    def check(self, labels: str, count: int) -> Checked:
        """Whether there are regions of which all have an area."""
        result = Checked.none(count)
        places, values = [], []
        legacy_places, legacy_values = [], []
        for place, label in enumerate(labels.split("\n")):
            if not label.startswith("["):
                if (numbers := _legacy_numbers(label)) is not None:
                    legacy_places.append(place)
                    legacy_values.append(numbers)
                continue
            try:
                value, end = _scan(label, 0)
            except (StopIteration, ValueError, RecursionError):
                continue
            if end == len(label) and len(value) <= _MOST_REGIONS:
                places.append(place)
                values.append(value)
        if values:
            result.put(places, _sound(values))
        if legacy_values:
            flat = np.fromiter(chain.from_iterable(legacy_values), np.float64)
            regions = np.array([len(each) // _LEGACY_NUMBERS for each in legacy_values], np.int32)
            result.put(legacy_places, _measured(flat, np.full(regions.sum(), _LEGACY_NUMBERS // 2), regions))
        return result


_scan = json.scanner.make_scanner(json.JSONDecoder())  # type: ignore[arg-type]


def _sound(labels: Sequence[list[Any]]) -> Checked:
    """Which labels are lists of regions with text and points that have an area; not sure means no."""
    try:
        regions = list(chain.from_iterable(labels))
        texts = [region["transcription"] for region in regions]
        polygons = [region["points"] for region in regions]
        points = list(chain.from_iterable(polygons))
        if (
            set(map(type, texts)) - {str, int, float}
            or set(map(type, polygons)) - {list}
            or set(map(type, points)) - {list}
            or set(map(len, points)) - {2}
            or not all(polygons)
        ):
            raise TypeError
        texts = list(map(str, texts))
        if max(map(len, texts), default=0) > LONGEST_TEXT:
            raise ValueError
        "".join(texts).encode("utf-8")  # half a surrogate pair cannot be
        flat = np.fromiter(chain.from_iterable(points), np.float64, 2 * len(points))
    except (TypeError, ValueError, KeyError, OverflowError):
        if len(labels) == 1:
            return Checked.none(1)
        half = len(labels) // 2
        return _sound(labels[:half]).followed_by(_sound(labels[half:]))
    counts = np.fromiter(map(len, labels), np.int32, len(labels))
    return _measured(flat, np.fromiter(map(len, polygons), np.int64, len(polygons)), counts)


def _measured(flat: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64], counts: npt.NDArray[np.int32]) -> Checked:
    """What is known of labels from their coordinates: `sizes` points in each region, `counts` regions in each label."""
    owners = np.repeat(np.arange(len(counts)), counts)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = flat.reshape(-1, 2).astype(np.float32).astype(np.float64)  # as records have them
        area, simple = _have_area(exact, sizes), _simple_quads(exact, sizes)

    def all_of(regions: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return np.bincount(owners[~regions], minlength=len(counts)) == 0

    return Checked(all_of(area), all_of(simple), counts)


def _have_area(points: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which polygons, given one after the other, have three points or more that are within reach and not on a line."""
    if not len(sizes):
        return np.zeros(0, bool)
    starts = np.cumsum(sizes) - sizes
    near = np.logical_and.reduceat((np.abs(points) <= _FARTHEST).all(axis=1), starts)
    x, y = (points - np.repeat(points[starts], sizes, axis=0)).T
    # The squares of both extents are the eigenvalues of [[xx, xy], [xy, yy]]; their product is its determinant.
    xx, xy, yy = (np.add.reduceat(product, starts) for product in (x * x, x * y, y * y))
    wide = xx * yy - xy * xy > _FLAT * (xx + yy) ** 2
    return near & wide & (sizes >= 3) & (sizes <= _MOST_POINTS)


def _simple_quads(points: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which polygons have four points that turn in one direction, or all but one: these do not cross themselves."""
    result = sizes == 4
    quads = points[np.repeat(result, sizes)].reshape(-1, 4, 2)
    edges = np.roll(quads, -1, axis=1) - quads
    following = np.roll(edges, -1, axis=1)
    turns = np.sign(edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0])
    result[result] = (turns != 0).all(axis=1) & (turns.sum(axis=1) != 0)
    return result


def _json_regions(label: str) -> Iterator[tuple[Any, str]]:
    try:
        regions = json.loads(label)
    except json.JSONDecodeError as error:
        raise BadLine(
            f"broken JSON at column {error.colno} of the label ({error.msg}): {short(label[max(error.pos - 9, 0) :])}",
            "correct the line; text with quotes or backslashes must be escaped",
        ) from None
    except ValueError:
        raise BadLine("a number with thousands of digits", "correct the line") from None
    if not isinstance(regions, list):
        raise BadLine(
            "the label is not a list of regions", 'write [{"transcription": "word", "points": [[x, y], ...]}]'
        )
    for position, region in enumerate(regions, start=1):
        if not isinstance(region, dict) or "points" not in region or "transcription" not in region:
            raise BadLine(
                f"region {position} has no points or no transcription: {short(json.dumps(region))}",
                "give both; write ### as the transcription of a region to ignore",
            )
        text = region["transcription"]
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise BadLine(
                f"the transcription of region {position} is not a text: {short(json.dumps(text))}",
                "write it in quotes, or ### for a region to ignore",
            )
        text = str(text)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadLine(
                f"the transcription of region {position} has half a surrogate pair: {short(json.dumps(text))}",
                "write the character itself",
            ) from None
        if len(text) > LONGEST_TEXT:
            raise BadLine(
                f"the transcription of region {position} has {len(text)} characters, more than {LONGEST_TEXT}",
                "is a closing quote missing?",
            )
        yield region["points"], text


def _legacy_regions(label: str) -> Iterator[tuple[Any, str]]:
    fields = [each for each in label.split("\t") if each.strip()]
    if not fields:
        raise BadLine("no label after the tab", "write [] for an image without text")
    for position, each in enumerate(fields, start=1):
        parts = each.split(",", _LEGACY_NUMBERS)
        if len(parts) < _LEGACY_NUMBERS:
            raise BadLine(
                f"region {position} is neither JSON nor x1,y1,...,x4,y4,text: {short(each)}",
                "write PaddleOCR's JSON, or eight coordinates and the text with commas between them",
            )
        text = parts[_LEGACY_NUMBERS] if len(parts) > _LEGACY_NUMBERS else ""
        yield [parts[i : i + 2] for i in range(0, _LEGACY_NUMBERS, 2)], text


def _legacy_numbers(label: str) -> list[float] | None:
    """The coordinates of all regions of a label in the legacy format; None if it has to be looked at closely."""
    numbers: list[float] = []
    for each in label.split("\t"):
        if not each.strip():
            continue
        parts = each.split(",", _LEGACY_NUMBERS)
        if len(parts) < _LEGACY_NUMBERS:
            return None
        try:
            numbers += map(float, parts[:_LEGACY_NUMBERS])
        except ValueError:
            return None
    return numbers if 0 < len(numbers) <= _LEGACY_NUMBERS * _MOST_REGIONS and "\0" not in label else None


def _polygon(points: Any, position: int) -> Polygon:
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadLine(f"points of region {position} are not [x, y] pairs: {short(str(points))}", "write [[x, y], ...]")
    if len(points) < 3:
        raise BadLine(
            f"region {position} has {len(points)} point{'s' if len(points) != 1 else ''}",
            "a polygon needs three or more",
        )
    if len(points) > _MOST_POINTS:
        raise BadLine(
            f"region {position} has {len(points)} points, more than {_MOST_POINTS}",
            "simplify its outline, as cv2.approxPolyDP does",
        )
    try:
        numbers = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):  # the last of a whole number with hundreds of digits
        raise BadLine(
            f"a coordinate of region {position} is not a number: {short(str(points))}", "write numbers"
        ) from None
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is named as such
        polygon = np.array(numbers, np.float32)
    if not np.isfinite(polygon).all():
        raise BadLine(
            f"a coordinate of region {position} is NaN or infinite", "write coordinates in pixels of the image"
        )
    if np.abs(polygon).max() > _FARTHEST:
        raise BadLine(
            f"a coordinate of region {position} is beyond ±{_FARTHEST:,.0f}: {short(str(points))}",
            "write coordinates in pixels of the image",
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
