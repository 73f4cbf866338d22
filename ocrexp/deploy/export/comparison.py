"""What "the same result" means, between a trained model and an exported one.

Numbers: the greatest absolute difference of any probability is at most the tolerance.

Texts: every text is the same. While numbers agree, a text can differ only where two classes are equally likely to
within twice their difference; there is no allowance for that, as it does not happen in practice.

Boxes: every box has its counterpart, one to one. Exactly equal ones are each other's; the others must overlap by the
IoU that is asked for: a pixel whose probability is just the threshold may move a corner by a pixel. Left out is
only a box whose score lies within the tolerance of `box_thresh`, as it may fall on either side of it.

Metrics: equal to within the difference that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.types import DetPrediction, Polygon, RecPrediction

_EXAMPLES = 5


@dataclass(frozen=True)
class Rules:
    """The tolerances of a gate.

    Args:
        tolerance: greatest difference of a probability (and of a score).
        box_iou: overlap that makes two boxes one.
        box_thresh: of the detector's postprocess; boxes with a score this near it may come or go.
        metric: greatest difference of a metric's values.
    """

    tolerance: float
    box_iou: float
    metric: float
    box_thresh: float = 0.0


@dataclass
class Tally:
    """Counts over images of one comparison."""

    rules: Rules
    items: int = 0  # boxes of both sides, or texts
    equal: int = 0
    different: int = 0
    max_difference: float | None = None
    max_score_difference: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add_numbers(self, expected: npt.NDArray[Any], got: npt.NDArray[Any]) -> None:
        """Compare outputs; arrays of other shapes, or numbers that are none, differ infinitely."""
        difference = float("inf")
        if expected.shape == got.shape and np.isfinite(expected).all() and np.isfinite(got).all():
            difference = float(np.abs(expected - got).max(initial=0.0))
        self.max_difference = max(self.max_difference or 0.0, difference)

    def add(self, expected: Any, got: Any, path: str) -> None:
        """Compare the predictions of one image."""
        if isinstance(expected, DetPrediction):
            self._add_boxes(expected, got, path)
        else:
            self._add_text(expected, got, path)

    def _add_text(self, expected: RecPrediction, got: RecPrediction, path: str) -> None:
        self.items += 1
        if expected.text == got.text:
            self.equal += 1
            self.max_score_difference = max(self.max_score_difference, abs(expected.score - got.score))
            return
        self.different += 1
        self._example(f"{path}: {expected.text!r} became {got.text!r}")

    def _add_boxes(self, expected: DetPrediction, got: DetPrediction, path: str) -> None:
        before, after, pairs = _without_equal(expected, got)
        self.items += len(expected.polygons)
        self.equal += len(pairs)
        for first, second in pairs:
            difference = abs(expected.scores[first] - got.scores[second])
            self.max_score_difference = max(self.max_score_difference, difference)
        if not before and not after:
            return
        moved = _overlapping(
            [expected.polygons[i] for i in before], [got.polygons[i] for i in after], self.rules.box_iou
        )
        lost = [expected.scores[index] for place, index in enumerate(before) if place not in moved]
        new = [got.scores[index] for place, index in enumerate(after) if place not in moved.values()]
        limit = self.rules.box_thresh + self.rules.tolerance
        lost, new = ([score for score in scores if score > limit] for scores in (lost, new))
        if lost or new:
            self.different += len(lost) + len(new)
            self._example(f"{path}: {len(lost)} of {len(expected.polygons)} boxes lost, {len(new)} new")

    def _example(self, line: str) -> None:
        if len(self.examples) < _EXAMPLES:
            self.examples.append(line)

    def failures(self) -> list[str]:
        """What does not hold, one line each."""
        lines = []
        if self.max_difference is not None and not self.max_difference <= self.rules.tolerance:
            lines.append(f"numbers differ by {self.max_difference:.2g} (tolerance {self.rules.tolerance:g})")
        if self.different:
            lines.append(f"{self.different} of {self.items} results differ; {self.examples[0]}")
        if self.max_score_difference > self.rules.tolerance:
            lines.append(f"scores differ by {self.max_score_difference:.2g} (tolerance {self.rules.tolerance:g})")
        return lines

    def report(self) -> dict[str, Any]:
        """For `parity.json`."""
        numbers = {} if self.max_difference is None else {"max_abs_difference": self.max_difference}
        return {
            **numbers,
            "results": self.items,
            "exactly_equal": self.equal,
            "different": self.different,
            "max_score_difference": self.max_score_difference,
            "examples": self.examples,
        }


def metric_failures(expected: dict[str, float], got: dict[str, float], limit: float) -> list[str]:
    """Metrics that differ by more than the limit, one line each."""
    return [
        f"{name} is {got[name]:.4f}, of the trained model {value:.4f}"
        for name, value in expected.items()
        if "/" not in name and not abs(got[name] - value) <= limit
    ]


def _without_equal(expected: DetPrediction, got: DetPrediction) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Indices of the boxes that are not exactly equal, of both sides, and the pairs that are."""
    places: dict[tuple[tuple[float, ...], ...], list[int]] = {}
    for index, polygon in enumerate(got.polygons):
        places.setdefault(_key(polygon), []).append(index)
    pairs, before = [], []
    for index, polygon in enumerate(expected.polygons):
        same = places.get(_key(polygon))
        if same:
            pairs.append((index, same.pop(0)))
        else:
            before.append(index)
    return before, sorted(index for indices in places.values() for index in indices), pairs


def _key(polygon: Polygon) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in point) for point in np.asarray(polygon))


def _overlapping(before: Sequence[Polygon], after: Sequence[Polygon], iou: float) -> dict[int, int]:
    from ocrexp.metrics.det import match_regions

    return dict(match_regions(before, [False] * len(before), after, iou_threshold=iou).pairs)
