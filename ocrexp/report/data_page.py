"""The page of `ocrexp check-data`: what a check has found, with histograms and pictures, in one file."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.data.checking.figures import Histogram
from ocrexp.data.checking.fix import FixedList
from ocrexp.data.checking.kinds import SEVERITIES, Kind
from ocrexp.data.checking.plan import DataFindings
from ocrexp.data.checking.problems import Problem
from ocrexp.data.images import read_image
from ocrexp.drawing import MISSED, WRONG, Picture, draw_polygons
from ocrexp.report.page import embedded, render
from ocrexp.types import Polygon, UnusableSample

_SHOWN = 25  # problems of a kind in the page; all that are kept are in the JSON file
_LONGEST = 340  # pixels of a picture
_CONTEXT = 0.6  # of a region's sides, around it
_LEAST_CONTEXT = 24  # pixels
_WIDTH, _HEIGHT = 600, 150  # of a histogram, in its own units
_MOST_CHARACTERS = 120


@dataclass
class PageKind:
    """A kind of problem with its numbers, first problems and pictures."""

    kind: Kind
    numbers: dict[str, int]
    problems: list[Problem]
    pictures: list[tuple[str, str]] = field(default_factory=list)
    total: int = 0
    further: int = 0  # problems in the JSON file that the page does not show


def make_data_page(findings: DataFindings, fixed: list[FixedList], *, pictures: int) -> str:
    """The HTML page. Raises ImportError without jinja2.

    Args:
        findings: of the check.
        fixed: corrected lists that were written.
        pictures: number of pictures of each kind.
    """
    problems = findings.problems
    kinds = [_page_kind(findings, kind, pictures) for kind in problems.kinds()]
    return render(
        "check_data.html",
        title=f"Data set {findings.plan.root.resolve().name or findings.plan.root}",
        root=str(findings.plan.root),
        short=findings.shown,
        task=findings.plan.task,
        made=time.strftime("%Y-%m-%d %H:%M"),
        totals={name: problems.number(name) for name in SEVERITIES},
        splits=[split for split in ("train", "val") if any(key[1] == split for key in problems.counts)],
        kinds=kinds,
        histograms=[_bars(one) for one in findings.histograms],
        characters=_characters(findings),
        facts=[(name, _shown(value)) for name, value in findings.facts.items()],
        advice=findings.advice,
        not_looked=findings.not_looked,
        fixed=fixed,
        worst=_worst(findings) if pictures else [],
        fingerprint=findings.fingerprint,
    )


def _page_kind(findings: DataFindings, kind: Kind, pictures: int) -> PageKind:
    found = findings.problems.of(kind.name)
    numbers = {split: findings.problems.counts[kind.name, split] for split in ("train", "val")}
    shown = PageKind(kind, numbers, found[:_SHOWN], total=sum(numbers.values()), further=max(0, len(found) - _SHOWN))
    for problem in found:
        if len(shown.pictures) >= pictures:
            break
        path = problem.image or _image_of(findings, problem)
        if path is not None and (picture := picture_of(path, problem.polygons)) is not None:
            shown.pictures.append((str(problem.place), embedded(picture, _LONGEST)))
    return shown


def _image_of(findings: DataFindings, problem: Problem) -> Path | None:
    """The image of the line that a problem is about; None for a region, which would have to be shown, and a list."""
    if findings.plan.task == "det" or not problem.place.line:
        return None
    for one in findings.entries:
        if str(one.path) == problem.place.file and (i := one.find(problem.place.line)) is not None and one.exists[i]:
            return one.image(i)
    return None


def picture_of(path: Path, polygons: tuple[Polygon, ...] = ()) -> Picture | None:
    """The image, RGB, or its part around the regions with their outlines; None where it cannot be read.

    The first point of each region is marked, as it shows where the region starts.
    """
    try:
        image: Picture = np.ascontiguousarray(read_image(path)[..., ::-1])
    except UnusableSample:
        return None
    if not polygons:
        return image
    height, width = image.shape[:2]
    points = np.concatenate(polygons)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.maximum(_CONTEXT * (high - low), _LEAST_CONTEXT)
    left, top = np.clip(np.floor(low - margin), 0, [max(0, width - 40), max(0, height - 40)]).astype(int)
    right, bottom = np.minimum(np.ceil(high + margin), [width, height]).astype(int)
    right, bottom = max(right, min(left + 40, width)), max(bottom, min(top + 40, height))
    part = image[top:bottom, left:right].copy()
    scale = min(1.0, _LONGEST / max(part.shape[:2])) if max(part.shape[:2]) > _LONGEST else 1.0
    if scale < 1 or max(part.shape[:2]) < _LONGEST / 2:
        import cv2

        scale = _LONGEST / max(part.shape[:2])
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
    moved = [polygon - np.array([left, top], np.float32) for polygon in polygons]
    for polygon, color in zip(moved, (WRONG, MISSED) * len(moved), strict=False):
        draw_polygons(part, [polygon], color, scale, 2)
        corner = np.array([polygon[0] - 2 / scale, polygon[0] + [2 / scale, -2 / scale], polygon[0] + 2 / scale,
                           polygon[0] + [-2 / scale, 2 / scale]])  # fmt: skip
        draw_polygons(part, [corner], color, scale, 2, tint=1.0)
    return part


def _bars(one: Histogram) -> dict[str, Any]:
    """A histogram as rectangles, [x, y, width, height], in a frame of 600 × 150."""
    most = max(one.counts) or 1
    step = _WIDTH / len(one.counts)
    low, high = one.edges[0], one.edges[-1]
    bars = []
    for i, count in enumerate(one.counts):
        tall = _HEIGHT * count / most
        title = f"{_shown(one.edges[i])} to {_shown(one.edges[i + 1])}: {count}"
        bars.append((i * step + 0.5, _HEIGHT - tall, max(step - 1, 0.5), tall, title))
    marks = [
        (name, _WIDTH * (value - low) / (high - low), _shown(value))
        for name, value in one.marks.items()
        if low <= value <= high
    ]
    return {
        "one": one,
        "bars": bars,
        "marks": marks,
        "outside": [(name, _shown(value)) for name, value in one.marks.items() if not low <= value <= high],
        "low": _shown(low),
        "high": _shown(high),
        "middle": _shown(one.quantiles["0.5"]),
        "range": (_shown(one.quantiles["0.05"]), _shown(one.quantiles["0.95"])),
    }


def _characters(findings: DataFindings) -> dict[str, Any]:
    every = findings.characters
    return {
        "number": len(every),
        "shown": every[:_MOST_CHARACTERS],
        "rare": every[_MOST_CHARACTERS:][-_MOST_CHARACTERS:],
    }


def _worst(findings: DataFindings) -> list[tuple[str, str, str, str]]:
    found = []
    for what, path, detail in findings.worst:
        picture = picture_of(path)
        if picture is not None:
            found.append((what, embedded(picture, _LONGEST), path.name, detail))
    return found


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {number}" for key, number in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
