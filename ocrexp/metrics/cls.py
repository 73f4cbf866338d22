"""Accuracy of a classifier."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ocrexp.results import ClsPrediction, ClsReference


class ClsMetric:
    """Accumulates over images; every value is a share 0..1, higher is better.

    `compute()` gives `accuracy`, the share of images whose label is right, and `recall/LABEL` of each label that the
    ground truth has. Without a single image the accuracy is 0.
    """

    main = "accuracy"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()  # (label, prediction)

    def update(self, predictions: list[ClsPrediction], references: list[ClsReference]) -> None:
        """Adds images; both lists have one entry per image. Raises ValueError if their lengths differ."""
        for prediction, reference in zip(predictions, references, strict=True):
            self._counts[reference.label, prediction.label] += 1

    def compute(self) -> dict[str, float]:
        totals: Counter[str] = Counter()
        right: Counter[str] = Counter()
        for (label, predicted), count in self._counts.items():
            totals[label] += count
            right[label] += count if label == predicted else 0
        recalls = {f"recall/{label}": right[label] / total for label, total in sorted(totals.items())}
        return {"accuracy": sum(right.values()) / max(sum(totals.values()), 1)} | recalls

    def severity(self, prediction: ClsPrediction, reference: ClsReference) -> float:
        """How wrong a prediction is: its score where it is wrong, 0 if it is right."""
        return 0.0 if prediction.label == reference.label else max(prediction.score, 1e-6)

    def outcome(self, prediction: ClsPrediction, reference: ClsReference) -> dict[str, Any]:
        """See HasOutcomes: 1 hit of 1 where the label is right."""
        right = int(prediction.label == reference.label)
        texts = {"label": reference.label, "read": prediction.label, "score": round(float(prediction.score), 4)}
        return {"hits": right, "of": 1, **texts}

    def state(self) -> Counter[tuple[str, str]]:
        return self._counts

    def merge(self, states: list[Counter[tuple[str, str]]]) -> None:
        """Replaces the counts by the sum of `states`, one per rank (including this one)."""
        self._counts = sum(states, Counter())
