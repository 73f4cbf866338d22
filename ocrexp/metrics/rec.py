"""Accuracy and edit distance of recognized texts, on the raw ground truth.

Nothing is done to a label but Unicode normalization (NFC, for the prediction too: the same text typed in two ways is
one text; what else `charset.normalize` and `charset.invisible` ask for, the evaluation's loader has done), so that a
character that the charset lacks, or a space that it cannot write, counts as wrong. What the figures `..._no_spaces`
ignore is what PaddleOCR's RecMetric ignores by default; these are its `acc` and `norm_edit_dis`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ocrexp.metrics.confusions import Confusions
from ocrexp.results import RecPrediction, RecReference

VALUES = (
    "accuracy",
    "norm_edit_distance",
    "accuracy_no_spaces",
    "norm_edit_distance_no_spaces",
    "accuracy_ignore_case",
    "accuracy_ignore_case_punctuation",
)
CASES = ("keep", "upper", "lower")


@dataclass(slots=True)
class RecCounts:
    """What `RecMetric.state` hands to other ranks, and `RecMetric.details` to the report.

    `sums` by the name of a value; `lengths` and `right_lengths` by the length of the label in code points; `empty`
    counts predictions without a character; `predicted` the characters of all predictions. `case` is the metric's.
    """

    case: str = "keep"
    samples: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(VALUES, 0.0))
    lengths: Counter[int] = field(default_factory=Counter)
    right_lengths: Counter[int] = field(default_factory=Counter)
    empty: int = 0
    predicted: Counter[str] = field(default_factory=Counter)
    confusions: Confusions = field(default_factory=Confusions)

    def merge(self, other: RecCounts) -> None:
        """Adds the counts of `other`."""
        self.samples += other.samples
        for name, value in other.sums.items():
            self.sums[name] += value
        self.lengths.update(other.lengths)
        self.right_lengths.update(other.right_lengths)
        self.empty += other.empty
        self.predicted.update(other.predicted)
        self.confusions.merge(other.confusions)


class RecMetric:
    """Accumulates over texts; every value is a mean over them, 0..1, higher is better.

    Args:
        main: the value that decides which checkpoint is best, one of VALUES.
        case: `upper` or `lower` turns label and prediction so before every comparison, for labels that do not keep
            the case of the picture; `keep` compares as they are.
        length_buckets: longest label, in code points, of each bucket of `accuracy_length`; one more holds the rest.

    `compute()` gives:
        accuracy: the text is the label, to the character.
        norm_edit_distance: 1 - mean of (edits / length of the longer one).
        accuracy_no_spaces, norm_edit_distance_no_spaces: without U+0020.
        accuracy_ignore_case: after Unicode case folding.
        accuracy_ignore_case_punctuation: letters, marks and numbers only (of every script), case-folded.
        spaces/missed_per_100, spaces/added_per_100: edits of U+0020 in the alignment with the fewest edits, per 100
            spaces of the labels; omitted if the labels have none.
        accuracy_length/1_5, ...: `accuracy` of the labels of that length; buckets without a label are omitted.

    Without a single text all values are 0: nothing has been shown to be right.
    """

    def __init__(
        self,
        main: str = "accuracy",
        case: Literal["keep", "upper", "lower"] = "keep",
        length_buckets: Sequence[int] = (5, 10, 15, 20),
    ) -> None:
        if main not in VALUES:
            raise ValueError(f"main: expected one of {', '.join(VALUES)}, got {main}")
        if case not in CASES:
            raise ValueError(f"case: expected one of {', '.join(CASES)}, got {case}")
        buckets = list(length_buckets)
        if any(low >= high for low, high in zip([0, *buckets], buckets, strict=False)):
            raise ValueError(f"length_buckets: expected rising lengths of 1 or more, or [], got {buckets}")
        self.main = main
        self.case = case
        self.length_buckets = buckets
        self.reset()

    def reset(self) -> None:
        self._counts = RecCounts(self.case)

    def update(self, predictions: list[RecPrediction], references: list[RecReference]) -> None:
        """Adds texts; both lists have one entry per image. Raises ValueError if their lengths differ."""
        for prediction, reference in zip(predictions, references, strict=True):
            self._add(self.compared(reference.text), self.compared(prediction.text))

    def compared(self, text: str) -> str:
        """A text as it is compared: NFC, and in the case that `case` asks for."""
        text = unicodedata.normalize("NFC", text)
        return text if self.case == "keep" else unicodedata.normalize("NFC", getattr(text, self.case)())

    def _add(self, label: str, predicted: str) -> None:
        counts = self._counts
        right = label == predicted
        counts.samples += 1
        counts.lengths[len(label)] += 1
        counts.empty += not predicted
        counts.predicted.update(predicted)
        counts.confusions.add(label, predicted)
        if right:
            counts.right_lengths[len(label)] += 1
            for name in VALUES:
                counts.sums[name] += 1
            return
        sums = counts.sums
        sums["norm_edit_distance"] += similarity(label, predicted)
        bare, bare_predicted = label.replace(" ", ""), predicted.replace(" ", "")
        sums["accuracy_no_spaces"] += bare == bare_predicted
        sums["norm_edit_distance_no_spaces"] += similarity(bare, bare_predicted)
        sums["accuracy_ignore_case"] += folded(label) == folded(predicted)
        sums["accuracy_ignore_case_punctuation"] += letters(label) == letters(predicted)

    def compute(self) -> dict[str, float]:
        counts = self._counts
        samples = max(counts.samples, 1)
        return {name: counts.sums[name] / samples for name in VALUES} | self._of_spaces() | self._by_length()

    def _of_spaces(self) -> dict[str, float]:
        found = self._counts.confusions
        if not (there := found.characters[" "]):
            return {}
        missed, added = found.deletions[" "], found.insertions[" "]
        for (label, predicted), count in found.substitutions.items():
            missed += count * (label == " ")
            added += count * (predicted == " ")
        return {"spaces/missed_per_100": 100 * missed / there, "spaces/added_per_100": 100 * added / there}

    def _by_length(self) -> dict[str, float]:
        values = {}
        bounds = [*self.length_buckets, None]
        low = 1
        for high in bounds:
            # A label without a character (there should be none) goes with the shortest.
            inside = [n for n in self._counts.lengths if (low == 1 or n >= low) and (high is None or n <= high)]
            if total := sum(self._counts.lengths[n] for n in inside):
                right = sum(self._counts.right_lengths[n] for n in inside)
                values[f"accuracy_length/{low}_{'up' if high is None else high}"] = right / total
            low = (high or 0) + 1
        return values

    def severity(self, prediction: RecPrediction, reference: RecReference) -> float:
        """How wrong a prediction is, 0 for a right one: edits by length, and of equals the surer one is worse."""
        label, predicted = self.compared(reference.text), self.compared(prediction.text)
        if label == predicted:
            return 0.0
        return 1.0 - similarity(label, predicted) + 1e-3 * prediction.score

    def outcome(self, prediction: RecPrediction, reference: RecReference) -> dict[str, Any]:
        """See HasOutcomes: `hits` is what the text adds to the sum of `main`, `of` is 1; `case` unless it is kept."""
        one = RecMetric(self.main, self.case, self.length_buckets)
        one.update([prediction], [reference])
        texts = {"label": reference.text, "read": prediction.text, "score": round(float(prediction.score), 4)}
        case = {} if self.case == "keep" else {"case": self.case}
        return {"hits": one.compute()[self.main], "of": 1, **texts, **case}

    def details(self) -> RecCounts:
        """The counts behind the values, for reports."""
        return self._counts

    def state(self) -> RecCounts:
        return self._counts

    def merge(self, states: list[RecCounts]) -> None:
        """Replaces the counts by the sum of `states`, one per rank (including this one)."""
        total = RecCounts(self.case)
        for state in states:
            total.merge(state)
        self._counts = total


def similarity(label: str, predicted: str) -> float:
    """1 - edits / length of the longer text; 1 for two empty ones."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(label, predicted))


def folded(text: str) -> str:
    """Without differences of case, in every script; NFC again, which folding can undo."""
    return unicodedata.normalize("NFC", text.casefold())


def letters(text: str) -> str:
    """Letters, their marks, and numbers, case-folded. PaddleOCR's is_filter keeps ASCII only: all Chinese is equal."""
    return "".join(character for character in folded(text) if unicodedata.category(character)[0] in "LMN")
