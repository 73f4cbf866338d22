"""What "the same result" means between a trained model and its export, for one image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """The tolerances of the parity gate.

    Args:
        tolerance: greatest difference of a probability, and of a score; relative where values are larger than 1.
        box_iou: overlap that makes two boxes the same.
        metric: greatest difference of a metric's values.
        box_thresh: of the detector's postprocess; a box with a score this near to it may appear or disappear.
    """

    tolerance: float
    box_iou: float
    metric: float
    box_thresh: float = 0.0


@dataclass(frozen=True)
class Compared:
    """Two predictions of one image side by side.

    Args:
        items: number of results of the trained model (boxes, texts, labels).
        equal: how many of them the export gives exactly.
        different: how many are not the same by the rules, on either side.
        score_difference: greatest difference of the scores of equal results.
        what: how they differ, for a line; "" if they do not.
    """

    items: int
    equal: int
    different: int = 0
    score_difference: float = 0.0
    what: str = ""
