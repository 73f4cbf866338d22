"""Precision, recall and hmean of detected regions, by the ICDAR 2015 protocol.

A detection matches a ground-truth region if their intersection over union exceeds `iou_threshold`. Matching is greedy
in list order, one to one, without regions that are marked "ignore"; a detection of which more than half lies in one
ignored region counts neither as right nor as wrong. The numbers are those of PaddleOCR's DetMetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ocrexp.results import DetPrediction, DetReference
from ocrexp.types import Polygon


class DetCounts(TypedDict):
    """What `DetMetric.state` hands to other ranks."""

    images: int
    references: int
    predictions: int
    matched: int
    area_millionths: int  # sum of the area ratios: whole numbers, so that the order of ranks does not matter
    invalid_references: int
    invalid_predictions: int


@dataclass(frozen=True, slots=True)
class DetMatch:
    """How the detections of one image meet its ground truth; every index is one of the lists given.

    `pairs` are (reference, prediction), `area_ratios` their area of the prediction by that of the reference.
    `ignored_*` count neither way. `invalid_*` are polygons that cross themselves or have fewer than three points: no
    overlap is defined for them, they are not counted.
    """

    references: int
    predictions: int
    pairs: list[tuple[int, int]] = field(default_factory=list)
    area_ratios: list[float] = field(default_factory=list)
    ignored_references: list[int] = field(default_factory=list)
    ignored_predictions: list[int] = field(default_factory=list)
    invalid_references: list[int] = field(default_factory=list)
    invalid_predictions: list[int] = field(default_factory=list)

    @property
    def counted_references(self) -> int:
        return self.references - len(self.ignored_references) - len(self.invalid_references)

    @property
    def counted_predictions(self) -> int:
        return self.predictions - len(self.ignored_predictions) - len(self.invalid_predictions)

    @property
    def missed(self) -> list[int]:
        """Ground-truth regions that should have been found and were not."""
        done = {pair[0] for pair in self.pairs} | set(self.ignored_references) | set(self.invalid_references)
        return [index for index in range(self.references) if index not in done]

    @property
    def wrong(self) -> list[int]:
        """Detections that match nothing."""
        done = {pair[1] for pair in self.pairs} | set(self.ignored_predictions) | set(self.invalid_predictions)
        return [index for index in range(self.predictions) if index not in done]


class DetMetric:
    """Accumulates `DetMatch` counts over images; precision, recall and hmean are over all regions together.

    `compute()` gives `precision`, `recall`, `hmean`; `area_ratio`, the mean of (area of the detection / area of the
    region) over the matched ones, where there are any; and `invalid_references` / `invalid_predictions` (counts) where
    there were polygons without a defined area. Where nothing counts (no ground truth, no detection) a value is 0.
    """

    main = "hmean"

    def __init__(self, iou_threshold: float = 0.5, ignored_overlap: float = 0.5) -> None:
        for key, value in (("iou_threshold", iou_threshold), ("ignored_overlap", ignored_overlap)):
            if not 0 <= value < 1:
                raise ValueError(f"{key}: expected a value from 0 to below 1, got {value}")
        self.iou_threshold = iou_threshold
        self.ignored_overlap = ignored_overlap
        self._latest: dict[int, tuple[DetPrediction, DetMatch]] = {}  # of the last update, by the prediction's identity
        self.reset()

    def reset(self) -> None:
        self._counts = _no_counts()
        self._latest = {}

    def outcome(self, prediction: DetPrediction, reference: DetReference) -> dict[str, Any]:
        """See HasOutcomes. hmean is 2 · matched / (references + predictions) of all images together."""
        known = self._latest.get(id(prediction))
        match = known[1] if known else self.match(prediction, reference)
        return {
            "hits": 2 * len(match.pairs),
            "of": match.counted_references + match.counted_predictions,
            "missed": len(match.missed),
            "wrong": len(match.wrong),
            "truth": [_flat(polygon) for polygon in reference.polygons],
            "ignored": [index for index, ignored in enumerate(reference.ignored) if ignored],
            "found": [_flat(polygon) for polygon in prediction.polygons],
        }

    def update(self, predictions: list[DetPrediction], references: list[DetReference]) -> None:
        """Adds images; both lists have one entry per image. Raises ValueError if their lengths differ."""
        self._latest = {}
        for prediction, reference in zip(predictions, references, strict=True):
            match = self.match(prediction, reference)
            self._latest[id(prediction)] = prediction, match
            self.add(match)

    def match(self, prediction: DetPrediction, reference: DetReference) -> DetMatch:
        """Matches one image without counting it."""
        return match_regions(
            reference.polygons, reference.ignored, prediction.polygons, self.iou_threshold, self.ignored_overlap
        )

    def add(self, match: DetMatch) -> None:
        counts = self._counts
        counts["images"] += 1
        counts["references"] += match.counted_references
        counts["predictions"] += match.counted_predictions
        counts["matched"] += len(match.pairs)
        counts["area_millionths"] += sum(round(1e6 * ratio) for ratio in match.area_ratios)
        counts["invalid_references"] += len(match.invalid_references)
        counts["invalid_predictions"] += len(match.invalid_predictions)

    def compute(self) -> dict[str, float]:
        counts = self._counts
        precision = _share(counts["matched"], counts["predictions"])
        recall = _share(counts["matched"], counts["references"])
        hmean = _share(2 * precision * recall, precision + recall)
        values = {"precision": precision, "recall": recall, "hmean": hmean}
        if counts["matched"]:
            values["area_ratio"] = counts["area_millionths"] / counts["matched"] / 1e6
        if counts["invalid_references"]:
            values["invalid_references"] = float(counts["invalid_references"])
        if counts["invalid_predictions"]:
            values["invalid_predictions"] = float(counts["invalid_predictions"])
        return values

    def state(self) -> DetCounts:
        return self._counts.copy()

    def merge(self, states: list[DetCounts]) -> None:
        """Replaces the counts by the sum of `states`, one per rank (including this one)."""
        total = _no_counts()
        for state in states:
            total["images"] += state["images"]
            total["references"] += state["references"]
            total["predictions"] += state["predictions"]
            total["matched"] += state["matched"]
            total["area_millionths"] += state["area_millionths"]
            total["invalid_references"] += state["invalid_references"]
            total["invalid_predictions"] += state["invalid_predictions"]
        self._counts = total


def match_regions(
    references: Sequence[Polygon],
    ignored: Sequence[bool],
    predictions: Sequence[Polygon],
    iou_threshold: float = 0.5,
    ignored_overlap: float = 0.5,
) -> DetMatch:
    """Matches the detections of one image with its ground truth; polygons (n, 2) in the same pixels."""
    import shapely

    reference_shapes, reference_valid = _shapes(references)
    prediction_shapes, prediction_valid = _shapes(predictions)
    match = DetMatch(
        references=len(references),
        predictions=len(predictions),
        ignored_references=[i for i in range(len(references)) if reference_valid[i] and ignored[i]],
        invalid_references=np.flatnonzero(~reference_valid).tolist(),
        invalid_predictions=np.flatnonzero(~prediction_valid).tolist(),
    )
    # Only pairs whose bounding boxes meet can overlap; shapely sees those alone, in one call.
    rows, columns = _meeting(references, reference_valid, predictions, prediction_valid)
    if len(rows) == 0:
        return match
    overlap = shapely.area(shapely.intersection(reference_shapes[rows], prediction_shapes[columns]))
    prediction_areas = shapely.area(prediction_shapes)

    is_ignored = np.asarray(ignored, dtype=bool)
    in_ignored = is_ignored[rows] & (overlap / prediction_areas[columns] > ignored_overlap)
    left_out = np.zeros(len(predictions), dtype=bool)
    left_out[columns[in_ignored]] = True
    match.ignored_predictions.extend(np.flatnonzero(left_out).tolist())

    reference_areas = shapely.area(reference_shapes)
    union = reference_areas[rows] + prediction_areas[columns] - overlap
    fits = (overlap / union > iou_threshold) & ~is_ignored[rows] & ~left_out[columns]
    taken_references: set[int] = set()
    taken_predictions: set[int] = set()
    for row, column in zip(rows[fits].tolist(), columns[fits].tolist(), strict=True):  # in list order: greedy
        if row not in taken_references and column not in taken_predictions:
            taken_references.add(row)
            taken_predictions.add(column)
            match.pairs.append((row, column))
            match.area_ratios.append(float(prediction_areas[column] / reference_areas[row]))
    return match


def _shapes(polygons: Sequence[Polygon]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Shapely polygons and which of them are valid; those with fewer than three points are None and invalid."""
    import shapely

    shapes = np.empty(len(polygons), dtype=object)
    for size in {len(polygon) for polygon in polygons}:
        if size >= 3:
            same = [index for index, polygon in enumerate(polygons) if len(polygon) == size]
            shapes[same] = shapely.polygons(np.stack([polygons[index] for index in same]).astype(np.float64))
    return shapes, np.asarray(shapely.is_valid(shapes), dtype=bool).reshape(len(polygons))


def _meeting(
    references: Sequence[Polygon],
    reference_valid: npt.NDArray[np.bool_],
    predictions: Sequence[Polygon],
    prediction_valid: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Index pairs of valid polygons whose bounding boxes overlap, sorted by reference, then by prediction."""
    low_a, high_a = _bounds(references)
    low_b, high_b = _bounds(predictions)
    meet = np.all((low_a[:, None] < high_b[None]) & (low_b[None] < high_a[:, None]), axis=2)
    meet &= reference_valid[:, None] & prediction_valid[None]
    rows, columns = np.nonzero(meet)
    return rows, columns


def _bounds(polygons: Sequence[Polygon]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lowest and highest x, y of each polygon, (n, 2) each."""
    if not polygons:
        return np.zeros((0, 2)), np.zeros((0, 2))
    starts = np.cumsum([0] + [len(polygon) for polygon in polygons[:-1]])
    points = np.concatenate(polygons).astype(np.float64)
    return np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)


def _flat(polygon: Polygon) -> list[int]:
    """x and y of its points in turn, in whole pixels."""
    return [int(value) for value in np.rint(polygon).ravel()]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _no_counts() -> DetCounts:
    return DetCounts(
        images=0,
        references=0,
        predictions=0,
        matched=0,
        area_millionths=0,
        invalid_references=0,
        invalid_predictions=0,
    )
