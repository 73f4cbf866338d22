"""The images on which two runs differ, as one HTML page: what one reads, or finds, and the other does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.drawing import INK, MISSED, RIGHT, WRONG
from ocrexp.report.detection import draw_sample
from ocrexp.report.page import embedded, render
from ocrexp.report.paired import paired_rows
from ocrexp.report.recognition import compared, crop_picture
from ocrexp.results import DetPrediction, DetReference, EvalSample
from ocrexp.types import Polygon

Row = Mapping[str, Any]
Pieces = list[tuple[str, str]]  # text and its class in the page
CLASSES = {INK: "", RIGHT: "right", WRONG: "wrong", MISSED: "missed"}
_PAGE = 460  # pixels of a page's longer side
_CROP = 640


@dataclass(frozen=True)
class Card:
    """One image on the page: pictures, or why there are none, and lines of (tag, pieces, score)."""

    name: str
    path: str
    pictures: list[str]
    lines: list[tuple[str, Pieces, float | None]]
    missing: str = ""


@dataclass(frozen=True)
class PageSection:
    """A section of the page; `count` images of which `cards` are shown."""

    title: str
    count: int
    texts: bool
    cards: list[Card] = field(default_factory=list)


def differences_page(
    first: Sequence[Row], second: Sequence[Row], names: tuple[str, str], summary: str, limit: int = 200
) -> str:
    """The page for the rows of `samples.jsonl` of two runs.

    Args:
        first: rows of run A.
        second: rows of run B.
        names: of the two.
        summary: one line under the title.
        limit: largest number of images of the whole page.
    """
    pairs = paired_rows(first, second)
    texts = any("label" in row for row, _ in pairs)
    worse = sorted((pair for pair in pairs if _share(pair[0]) > _share(pair[1])), key=_apart)
    better = sorted((pair for pair in pairs if _share(pair[0]) < _share(pair[1])), key=_apart)
    half = max(1, limit // 2)
    shown = len(worse[: max(half, limit - len(better))]), len(better[: max(half, limit - len(worse))])
    title = "Right in {} only" if texts else "Better in {}"
    parts = [
        PageSection(title.format("A"), len(worse), texts, [_card(*pair) for pair in worse[: shown[0]]]),
        PageSection(title.format("B"), len(better), texts, [_card(*pair) for pair in better[: shown[1]]]),
    ]
    return render(
        "differences.html", title="Two runs on the same images", summary=summary, parts=parts, first=names[0],
        second=names[1],
    )  # fmt: skip


def _share(row: Row) -> float:
    return float(row["hits"]) / row["of"] if row["of"] else 1.0


def _apart(pair: tuple[Row, Row]) -> float:
    return -abs(_share(pair[0]) - _share(pair[1]))


def _card(ours: Row, theirs: Row) -> Card:
    return text_card(ours, theirs) if "label" in ours else region_card(ours, theirs)


def text_card(*rows: Row) -> Card:
    """A crop with its label and what each run reads."""
    picture = crop_picture(Path(str(rows[0]["path"])))
    lines: list[tuple[str, Pieces, float | None]] = [("label", [(str(rows[0]["label"]), "")], None)]
    tags = ("read",) if len(rows) == 1 else ("A", "B")
    for tag, row in zip(tags, rows, strict=True):
        label, read = compared(str(row["label"]), str(row.get("read", "")), _case(row))
        lines.append((tag, _pieces(read), _score(row)))
        if len(rows) == 1:
            lines[0] = ("label", _pieces(label), None)
    found = [] if isinstance(picture, str) else [embedded(picture, _CROP)]
    path = str(rows[0]["path"])
    return Card(Path(path).name, path, found, lines, picture if isinstance(picture, str) else "")


def region_card(*rows: Row) -> Card:
    """A page with ground truth and prediction of each run."""
    path = str(rows[0]["path"])
    tags = ("found",) if len(rows) == 1 else ("A", "B")
    lines: list[tuple[str, Pieces, float | None]] = []
    pictures = []
    readable = not isinstance(problem := crop_picture(Path(path)), str)
    for tag, row in zip(tags, rows, strict=True):
        told = f"{int(row['hits']) // 2} found, {row.get('missed', 0)} missed, {row.get('wrong', 0)} wrong"
        lines.append((tag, [(told, "")], None))
        if readable:
            pictures.append(embedded(draw_sample(_as_sample(row), _PAGE), quality=70))
    return Card(Path(path).name, path, pictures, lines, "" if readable else str(problem))


def _as_sample(row: Row) -> EvalSample:
    truth, found = _polygons(row.get("truth")), _polygons(row.get("found"))
    ignored = row.get("ignored") or []
    reference = DetReference(truth, [index in ignored for index in range(len(truth))])
    return EvalSample(str(row["path"]), DetPrediction(found, [1.0] * len(found)), reference)


def _polygons(flat: Any) -> list[Polygon]:
    """Of lists of x and y in turn; others are skipped."""
    good = [one for one in flat or () if isinstance(one, list) and len(one) >= 6 and len(one) % 2 == 0]
    return [np.array(one, np.float32).reshape(-1, 2) for one in good]


def _pieces(runs: Sequence[tuple[str, Any]]) -> Pieces:
    return [(text, CLASSES.get(color, "")) for text, color in runs]


def _case(row: Row) -> str:
    """Of the metric that made the row: colors mark what it counts as wrong."""
    case = row.get("case")
    return case if case in ("upper", "lower") else "keep"


def _score(row: Row) -> float | None:
    score = row.get("score")
    return float(score) if isinstance(score, int | float) else None
