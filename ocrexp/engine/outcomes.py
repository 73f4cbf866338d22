"""What became of each image of an evaluation: what a comparison of two runs on the same images needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ocrexp.results import HasOutcomes, ImageOutcome, Metric
from ocrexp.types import Batch


class ImageOutcomes:
    """The outcomes of the first `keep` images of the list, of a metric that has them; none of others."""

    def __init__(self, metric: Metric, keep: int) -> None:
        self._outcome = metric.outcome if isinstance(metric, HasOutcomes) else None
        self._keep = keep
        self.found: list[ImageOutcome] = []

    def add(self, part: Batch, predictions: Sequence[Any]) -> None:
        """Take the images of a part that the metric has just counted."""
        if self._outcome is None:
            return
        entries = zip(part["index"], part["paths"], predictions, part["references"], strict=True)
        for index, path, prediction, reference in entries:
            if index < self._keep:
                self.found.append(ImageOutcome(int(index), path, self._outcome(prediction, reference)))

    def merge(self, shares: Sequence[list[ImageOutcome]]) -> None:
        """Become those of all processes."""
        self.found = [one for share in shares for one in share]

    def in_order(self) -> list[ImageOutcome]:
        """As the list has the images."""
        return sorted(self.found, key=lambda one: one.index)
