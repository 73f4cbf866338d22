"""Which characters a recognizer takes for which: counted over the alignment with the fewest edits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Confusions:
    """Counts of characters over (label, prediction) pairs.

    `substitutions[label's, predicted]`, `deletions[label's]` (not predicted), `insertions[predicted]` (not in the
    label), `characters[label's]` (how often it is there to be read at all). Characters are code points after NFC.
    """

    characters: Counter[str] = field(default_factory=Counter)
    substitutions: Counter[tuple[str, str]] = field(default_factory=Counter)
    deletions: Counter[str] = field(default_factory=Counter)
    insertions: Counter[str] = field(default_factory=Counter)

    def add(self, label: str, predicted: str) -> None:
        """Counts one pair. Of several alignments with equally few edits it takes the one that rapidfuzz gives."""
        self.characters.update(label)
        if label == predicted:
            return
        from rapidfuzz.distance import Levenshtein

        for edit in Levenshtein.editops(label, predicted):
            if edit.tag == "replace":
                self.substitutions[label[edit.src_pos], predicted[edit.dest_pos]] += 1
            elif edit.tag == "delete":
                self.deletions[label[edit.src_pos]] += 1
            else:
                self.insertions[predicted[edit.dest_pos]] += 1

    def merge(self, other: Confusions) -> None:
        """Adds the counts of `other`."""
        self.characters.update(other.characters)
        self.substitutions.update(other.substitutions)
        self.deletions.update(other.deletions)
        self.insertions.update(other.insertions)

    @property
    def errors(self) -> int:
        """Edits in all."""
        return self.substitutions.total() + self.deletions.total() + self.insertions.total()

    def most_common(self, limit: int | None = None) -> list[tuple[str, str, int]]:
        """(label's character, predicted one, count), most frequent first; "" if there is none on that side."""
        counted: Counter[tuple[str, str]] = Counter(self.substitutions)
        counted.update({(character, ""): count for character, count in self.deletions.items()})
        counted.update({("", character): count for character, count in self.insertions.items()})
        ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        return [(*pair, count) for pair, count in ordered[:limit]]
