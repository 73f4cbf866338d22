"""Characters of texts that a charset does not contain: how they are named and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class UnknownCharacter(ValueError):
    """A text contains a character that the charset does not; `character` is the whole of it, marks included."""

    def __init__(self, character: str) -> None:
        super().__init__(f"{describe_character(character)} is not in the charset")
        self.character = character


@dataclass(frozen=True, slots=True)
class CharsetCoverage:
    """What a charset makes of texts: characters that it does not know, how often each, and where each was first."""

    texts: int
    unknown: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    incomplete: int = 0  # texts that contain an unknown character

    def describe(self) -> str:
        """One line, or "" if all is known."""
        if not self.unknown:
            return ""
        shown = ", ".join(f"{describe_character(c)} {n}×" for c, n in self.unknown.most_common(5))
        more = f" and {len(self.unknown) - 5} more" if len(self.unknown) > 5 else ""
        return (
            f"{len(self.unknown)} character{'s' if len(self.unknown) > 1 else ''} outside the charset, "
            f"{self.unknown.total()} times in {self.incomplete} of "
            f"{self.texts} labels: {shown}{more}"
        )


def describe_character(character: str) -> str:
    """'é' (U+00E9), also for characters of several code points and invisible ones."""
    points = " ".join(f"U+{ord(point):04X}" for point in character)
    shown = character if character.isprintable() else "?"
    return f"'{shown}' ({points})"
