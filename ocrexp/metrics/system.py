"""End-to-end precision, recall and hmean: a region counts where its box and its text are right.

Boxes are matched as DetMetric matches them (the ICDAR 2015 protocol); of a matched pair the texts must be equal. So
end-to-end recall is the detector's recall times the recognizer's accuracy on what was found, and one sees which half
fails.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from ocrexp.metrics.det import DetCounts, DetMatch, DetMetric
from ocrexp.metrics.rec import folded, similarity
from ocrexp.results import DetPrediction, DetReference

CASES = ("ignore", "keep")


@dataclass(frozen=True, slots=True)
class SystemPrediction(DetPrediction):
    """Detected regions with what was read in each; `scores` are the texts'."""

    texts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SystemMatch:
    """How one image's regions meet its ground truth: `right` and `misread` are (reference, prediction) of `boxes`."""

    boxes: DetMatch
    right: list[tuple[int, int]]
    misread: list[tuple[int, int]]


@dataclass(slots=True)
class SystemCounts:
    """What `SystemMetric.state` hands to others: the boxes' counts, texts that are right, summed similarities."""

    boxes: DetCounts
    right: int = 0
    similarity: float = 0.0


class SystemMetric:
    """Accumulates over images; precision, recall and hmean are over all regions together.

    Args:
        iou_threshold, ignored_overlap: as DetMetric has them. Regions marked `###` or `*` count neither way.
        case: `ignore` compares without differences of case, in every script; `keep` compares as they are.
        ignore_space: whether U+0020 is removed from both texts.

    `compute()` gives:
        precision, recall, hmean: box and text right.
        det_precision, det_recall, det_hmean: box right.
        rec_accuracy, rec_norm_edit_distance: of the texts of matched boxes.

    Texts are compared in Unicode's form NFC. Where nothing counts a value is 0.
    """

    main = "hmean"

    def __init__(
        self,
        iou_threshold: float = 0.5,
        ignored_overlap: float = 0.5,
        case: Literal["ignore", "keep"] = "ignore",
        ignore_space: bool = False,
    ) -> None:
        if case not in CASES:
            raise ValueError(f"case: expected one of {', '.join(CASES)}, got {case}")
        self._detection = DetMetric(iou_threshold, ignored_overlap)
        self.case = case
        self.ignore_space = ignore_space
        self.reset()

    def reset(self) -> None:
        self._detection.reset()
        self._right = 0
        self._similarity = 0.0

    def update(self, predictions: list[SystemPrediction], references: list[DetReference]) -> None:
        """Adds images; both lists have one entry per image. Raises ValueError if their lengths differ."""
        for prediction, reference in zip(predictions, references, strict=True):
            match = self.match(prediction, reference)
            self._detection.add(match.boxes)
            self._right += len(match.right)
            self._similarity += len(match.right) + sum(
                similarity(self.compared(reference.texts[row]), self.compared(prediction.texts[column]))
                for row, column in match.misread
            )

    def match(self, prediction: SystemPrediction, reference: DetReference) -> SystemMatch:
        """Matches one image without counting it."""
        boxes = self._detection.match(prediction, reference)
        right: list[tuple[int, int]] = []
        misread: list[tuple[int, int]] = []
        for row, column in boxes.pairs:
            equal = self.compared(reference.texts[row]) == self.compared(prediction.texts[column])
            (right if equal else misread).append((row, column))
        return SystemMatch(boxes, right, misread)

    def compared(self, text: str) -> str:
        """A text as it is compared."""
        if self.ignore_space:
            text = text.replace(" ", "")
        return folded(text) if self.case == "ignore" else unicodedata.normalize("NFC", text)

    def compute(self) -> dict[str, float]:
        boxes = self._detection.compute()
        counts = self._detection.state()
        precision = _share(self._right, counts["predictions"])
        recall = _share(self._right, counts["references"])
        return {
            "precision": precision,
            "recall": recall,
            "hmean": _share(2 * precision * recall, precision + recall),
            "rec_accuracy": _share(self._right, counts["matched"]),
            "rec_norm_edit_distance": _share(self._similarity, counts["matched"]),
            **{f"det_{name}": value for name, value in boxes.items()},
        }

    def severity(self, prediction: SystemPrediction, reference: DetReference) -> float:
        """Share of the image's regions that are wrong in box or text, 0 for a right one."""
        match = self.match(prediction, reference)
        faults = len(match.misread) + len(match.boxes.missed) + len(match.boxes.wrong)
        return faults / max(faults + len(match.right), 1)

    def state(self) -> SystemCounts:
        return SystemCounts(self._detection.state(), self._right, self._similarity)

    def merge(self, states: list[SystemCounts]) -> None:
        """Replaces the counts by the sum of `states`."""
        self._detection.merge([state.boxes for state in states])
        self._right = sum(state.right for state in states)
        self._similarity = sum(state.similarity for state in states)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
