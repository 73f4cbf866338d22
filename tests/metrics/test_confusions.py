"""Character confusions on texts whose edits are plain to see."""

from __future__ import annotations

from ocrexp.metrics.confusions import Confusions


def test_counts_substitutions_insertions_and_deletions() -> None:
    confusions = Confusions()
    for label, predicted in [("O0O", "000"), ("O1", "01"), ("abc", "ac"), ("ab", "ab "), ("same", "same")]:
        confusions.add(label, predicted)
    assert confusions.substitutions == {("O", "0"): 3}
    assert confusions.deletions == {"b": 1}
    assert confusions.insertions == {" ": 1}
    assert confusions.characters["O"] == 3
    assert confusions.errors == 5
    assert confusions.most_common(2) == [("O", "0", 3), ("", " ", 1)]


def test_merging_adds() -> None:
    one, other = Confusions(), Confusions()
    one.add("l", "1")
    other.add("l", "1")
    other.add("x", "")
    one.merge(other)
    assert one.most_common() == [("l", "1", 2), ("x", "", 1)]
