"""What is done to a label before it is encoded or compared: Unicode's normalization forms, invisible characters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["nfc", "nfd", "nfkc", "nfkd"]
Invisible = Literal["keep", "clean"]
FORMS = ("nfc", "nfd", "nfkc", "nfkd")
INVISIBLE = ("keep", "clean")

_JOINERS = "\u200c\u200d"
# Hangul fillers, the combining grapheme joiner and the empty Braille cell: no ink, though their categories have some.
_FILLERS = "\u115f\u1160\u3164\uffa0\u034f\u2800"
# Signs of numbers and verses: format characters with ink (Unicode's Prepended_Concatenation_Mark).
_WITH_INK = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"


@dataclass(frozen=True, slots=True)
class Normalization:
    """How labels, and the entries of a dictionary, are normalized.

    Attributes:
        form: `nfc`, `nfd`, `nfkc`, `nfkd` (Unicode Standard Annex 15), or None: texts as they are typed.
        invisible: `keep`, or `clean`: every kind of space (no-break, thin, ideographic, tab) becomes U+0020, and what
            has neither ink nor width (zero-width space, byte order mark, soft hyphen, direction marks, control
            characters) is dropped. Joiners (U+200C, U+200D) stay behind an Arabic letter, a combining mark or a symbol,
            where they change what is drawn.
    """

    form: Form | None = "nfc"
    invisible: Invisible = "keep"

    def __post_init__(self) -> None:
        if isinstance(self.form, str):
            object.__setattr__(self, "form", self.form.lower())
        if self.form is not None and self.form not in FORMS:
            raise ValueError(f"normalize: expected null or one of {', '.join(FORMS)}, got {self.form!r}")
        if self.invisible not in INVISIBLE:
            raise ValueError(f"invisible: expected one of {', '.join(INVISIBLE)}, got {self.invisible!r}")

    def __call__(self, text: str) -> str:
        """The normalized text; applied twice it is the same."""
        if text.isascii() and text.isprintable():
            return text
        if self.invisible == "clean":
            text = _clean(text)
        return text if self.form is None else unicodedata.normalize(self.form.upper(), text)  # type: ignore[arg-type]

    def entry(self, entry: str) -> str:
        """An entry of a dictionary as the labels have it; a joiner alone stays."""
        return entry if entry and entry in _JOINERS else self(entry)

    @property
    def facts(self) -> dict[str, Any]:
        """What is not the default, as a charset's fingerprint and its saved form state it."""
        facts: dict[str, Any] = {}
        if self.form != "nfc":
            facts["normalize"] = self.form
        if self.invisible != "keep":
            facts["invisible"] = self.invisible
        return facts

    @property
    def setting(self) -> str:
        """The options and values that differ from the default, for messages."""
        return " ".join(f"{key}={'null' if value is None else value}" for key, value in self.facts.items())


NFC = Normalization()


def of_facts(facts: Any) -> Normalization:
    """The normalization of what `Normalization.facts` is a part of. Raises ValueError."""
    return Normalization(facts.get("normalize", "nfc"), facts.get("invisible", "keep"))


def is_invisible(character: str) -> bool:
    """Whether the character has no ink, or is a space other than U+0020: what `clean` replaces or drops."""
    return character != " " and (character.isspace() or _is_nothing(character))


def _clean(text: str) -> str:
    kept: list[str] = []
    for character in text:
        if character.isspace():
            kept.append(" ")
        elif not _is_nothing(character) or (character in _JOINERS and kept and _is_joined(kept[-1])):
            kept.append(character)
    return "".join(kept)


def _is_nothing(character: str) -> bool:
    if character in _WITH_INK:
        return False
    return character in _FILLERS or unicodedata.category(character) in ("Cc", "Cf")


def _is_joined(character: str) -> bool:
    """Whether a joiner behind the character changes what is drawn."""
    return unicodedata.bidirectional(character) == "AL" or unicodedata.category(character) in ("Mn", "Mc", "So")
