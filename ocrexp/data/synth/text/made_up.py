"""Made-up texts as one of several sources."""

from __future__ import annotations

from dataclasses import dataclass

from ocrexp.data.synth.checks import require


@dataclass(frozen=True)
class MadeUp:
    """Made-up words, numbers, prices and so on, which the dataset draws from its own settings (`texts`, `scripts`).

    Args:
        weight: how often they are used, relative to the other sources.

    Raises ValueError if the weight is not above 0.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        require(self.weight > 0, "weight", self.weight, "a number above 0")
