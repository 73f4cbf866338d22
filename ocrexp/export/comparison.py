"""Counts of a comparison between a trained model and an exported one.

Numbers agree if the greatest difference of any of them is at most the tolerance: absolute for probabilities, relative
to the greatest value of its map for what is larger than 1, such as distances in pixels. Metrics agree if they differ by
at most the given limit. The task decides when two predictions are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.tasks.gate import Compared, Rules

_EXAMPLES = 5


@dataclass
class ComparisonCounts:
    """Counts over images of one comparison."""

    rules: Rules
    items: int = 0  # boxes of both models, or texts
    equal: int = 0
    different: int = 0
    max_difference: float | None = None
    max_score_difference: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add_numbers(self, expected: npt.NDArray[Any], got: npt.NDArray[Any]) -> None:
        """Compare outputs [N, …] or maps [N, C, H, W]; arrays of different shapes and NaN differ infinitely."""
        difference = float("inf")
        if expected.shape == got.shape and np.isfinite(expected).all() and np.isfinite(got).all():
            axes = (0, 2, 3) if expected.ndim == 4 else None
            greatest = np.abs(expected).max(axis=axes, keepdims=True, initial=1.0)
            difference = float((np.abs(expected - got) / greatest).max(initial=0.0))
        self.max_difference = max(self.max_difference or 0.0, difference)

    def add(self, compared: Compared, path: str) -> None:
        """Count the predictions of one image; see `Task.compare`."""
        self.items += compared.items
        self.equal += compared.equal
        self.different += compared.different
        self.max_score_difference = max(self.max_score_difference, compared.score_difference)
        if compared.what and len(self.examples) < _EXAMPLES:
            self.examples.append(f"{path}: {compared.what}")

    def failures(self) -> list[str]:
        """The failures, one line each."""
        lines = []
        if self.max_difference is not None and not self.max_difference <= self.rules.tolerance:
            lines.append(f"numbers differ by {self.max_difference:.2g} (tolerance {self.rules.tolerance:g})")
        if self.different:
            lines.append(f"{self.different} of {self.items} results differ; {self.examples[0]}")
        if self.max_score_difference > self.rules.tolerance:
            lines.append(f"scores differ by {self.max_score_difference:.2g} (tolerance {self.rules.tolerance:g})")
        return lines

    def report(self) -> dict[str, Any]:
        """The content of `parity.json`."""
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
        f"{name} is {got[name]:.4f}, but {value:.4f} for the trained model"
        for name, value in expected.items()
        if "/" not in name and not abs(got[name] - value) <= limit
    ]
