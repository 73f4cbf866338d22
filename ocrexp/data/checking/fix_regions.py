"""Corrected regions of a detection label: order and direction of their points, repeated ones, texts."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocrexp.data.checking.fix_text import TextFixer
from ocrexp.data.checking.geometry import (
    PolygonTable,
    in_order,
    repeats,
    rotated_points,
    started_at_upper_left,
    wrong_start,
)
from ocrexp.data.checking.regions import fits_unrotated, is_clear, mirrored
from ocrexp.data.labels import IGNORED_TEXTS
from ocrexp.data.regions import crosses
from ocrexp.types import Polygon


@dataclass(frozen=True, slots=True)
class PageSize:
    """Height and width of an image after its EXIF rotation, and the rotation."""

    height: int
    width: int
    orientation: int


def fixed_regions(
    label: str, size: PageSize | None, texts: TextFixer, wanted: Collection[str]
) -> tuple[str, list[str]]:
    """The corrected label, and the kinds of problems that it had; a label that is not a list of regions stays."""
    try:
        regions = json.loads(label)
    except (ValueError, RecursionError):
        return label, []
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        return label, []
    found: list[str] = []
    kept: list[tuple[dict[str, Any], Polygon]] = []
    others: list[dict[str, Any]] = []  # regions whose points cannot be read stay as they are
    for region in regions:
        polygon = _polygon(region.get("points"))
        if polygon is None:
            others.append(region)
        elif "polygon-no-area" in wanted and not _has_area(polygon):
            found.append("polygon-no-area")
        else:
            kept.append((region, polygon))
    if size is not None and "polygon-unrotated" in wanted and kept:
        polygons = [polygon for _, polygon in kept]
        if fits_unrotated(PolygonTable(polygons), size.orientation, size.height, size.width):
            found.append("polygon-unrotated")
            kept = [_turned(region, polygon, size) for region, polygon in kept]
    changed: list[dict[str, Any]] = []
    for region, polygon in kept:
        fixed, kinds = _fixed(region, polygon, size, texts, wanted)
        changed.append(fixed)
        found += kinds
    if "polygon-duplicate" in wanted:
        changed, count = _without_repeats(changed)
        found += ["polygon-duplicate"] * count
    return (json.dumps([*changed, *others], ensure_ascii=False), found) if found else (label, [])


def _polygon(points: Any) -> Polygon | None:
    try:
        polygon = np.array([(float(x), float(y)) for x, y in points], np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    return polygon if polygon.ndim == 2 and len(polygon) >= 3 and np.isfinite(polygon).all() else None


def _has_area(polygon: Polygon) -> bool:
    centered = polygon.astype(np.float64) - polygon[0]
    return bool(np.linalg.svd(centered, compute_uv=False)[1] > 1e-9)


def _fixed(
    region: dict[str, Any], polygon: Polygon, size: PageSize | None, texts: TextFixer, wanted: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    kinds: list[str] = []
    text = region.get("transcription")
    if isinstance(text, str) and text not in IGNORED_TEXTS:
        if not text.strip() and "region-no-text" in wanted:
            text = "###"
            kinds.append("region-no-text")
        else:
            text, kinds = texts(text)
    before = polygon
    if "polygon-crossing" in wanted and len(polygon) == 4 and crosses([polygon])[0]:
        polygon = in_order(polygon)
        kinds.append("polygon-crossing")
    if "polygon-counterclockwise" in wanted and PolygonTable([polygon]).area[0] < 0:
        polygon = mirrored(polygon)
        kinds.append("polygon-counterclockwise")
    if "polygon-start" in wanted and isinstance(text, str) and is_clear(text) and wrong_start(polygon) is not None:
        polygon = started_at_upper_left(polygon)
        kinds.append("polygon-start")
    if "polygon-beyond" in wanted and size is not None:
        inside = np.clip(polygon, 0, (size.width, size.height)).astype(np.float32)
        moved = float(np.abs(inside - polygon).max())
        if moved > 0 and PolygonTable([inside]).area[0] > 0.5 * abs(PolygonTable([polygon]).area[0]):
            polygon = inside
            kinds.append("polygon-beyond")
    fixed = dict(region)
    if isinstance(text, str):
        fixed["transcription"] = text
    if polygon is not before:
        fixed["points"] = _as_list(polygon)
    return fixed, kinds


def _turned(region: dict[str, Any], polygon: Polygon, size: PageSize) -> tuple[dict[str, Any], Polygon]:
    """A region of the image before its EXIF rotation, in the image after it."""
    turned = rotated_points(polygon, size.orientation, size.height, size.width)
    return {**region, "points": _as_list(turned)}, turned


def _as_list(polygon: Polygon) -> list[list[float | int]]:
    return [[_plain(x), _plain(y)] for x, y in polygon.tolist()]


def _without_repeats(regions: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The regions without those that repeat an earlier one with the same text."""
    polygons = [_polygon(region["points"]) for region in regions]
    known = [polygon for polygon in polygons if polygon is not None]
    if len(known) < 2 or len(known) != len(polygons):
        return regions, 0
    gone = {j for i, j in repeats(known, PolygonTable(known))
            if regions[i].get("transcription") == regions[j].get("transcription")}  # fmt: skip
    return [region for k, region in enumerate(regions) if k not in gone], len(gone)


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 2)
