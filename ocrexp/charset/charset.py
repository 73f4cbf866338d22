"""The characters that a recognizer knows: one object that encodes, decodes, and has a fingerprint.

A character is an entry of the dictionary: one code point or several, after the normalization that labels pass too.
Texts are read from the left, the longest entry first.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from ocrexp.charset.codecs import KINDS, Codec, Kind
from ocrexp.charset.dictionary import explain_missing
from ocrexp.charset.direction import Direction, mirrored, resolved, turned
from ocrexp.charset.normalization import NFC, Normalization, is_invisible
from ocrexp.charset.unknown import CharsetCoverage, UnknownCharacter, describe_character
from ocrexp.errors import ConfigError, DataError
from ocrexp.located import option

Policy = Literal["error", "map", "drop"]
_POLICIES = ("error", "map", "drop")


class Charset:
    """An ordered set of characters.

    Args:
        characters: entries in class order, each a character of one or more code points.
        unknown: what to do with a character of a training label that is not among them: `error`; `map`: replace it by
            `unknown_map`, an error if it has no replacement either; `drop`: drop it. `check` counts all of them.
        unknown_map: character to its replacement ("" drops it).
        lower: lower-case texts before encoding (PaddleOCR without a dictionary).
        source: where the characters come from, for messages.
        direction: `rtl`: labels are in logical order and classes in the order in which a right-to-left text is drawn;
            `auto`: see `ocrexp.charset.direction.resolved`.
        aliases: positions whose entry may equal another one (PaddleOCR's second space) or be empty; they are decoded,
            and the last of equals is encoded to.
        normalization: of labels and entries.

    Raises:
        ConfigError: no characters, an empty or duplicate entry.
        ValueError: an option that is not supported, a replacement that is not in the charset.

    Entries that only normalization makes equal (compatibility ideographs of ppocr_keys_v1) both stay, for the classes
    of trained files: both decode to the same character, and it is encoded as the entry that is normalized already. An
    entry that is empty is a class too: no label has it, and it decodes to nothing.
    """

    def __init__(
        self,
        characters: Sequence[str],
        unknown: Policy = "error",
        unknown_map: Mapping[str, str] | None = None,
        lower: bool = False,
        source: str = "charset",
        aliases: Sequence[int] = (),
        direction: Direction = "ltr",
        normalization: Normalization = NFC,
    ) -> None:
        if unknown not in _POLICIES:
            raise ValueError(f"unknown: expected error, map or drop, got {unknown}")
        if unknown_map and unknown != "map":
            raise ValueError(f"unknown_map: has no effect with unknown={unknown}; set unknown=map")
        if not any(characters):
            raise ConfigError(f"{source}: contains no characters")
        try:
            check_entries(characters, source, set(aliases))
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self.entries = tuple(characters)
        self.normalization = normalization
        self.characters = tuple(normalization.entry(entry) for entry in characters)
        self.unknown: Policy = unknown
        self.lower = lower
        self.direction = resolved(direction, characters, source)
        self.source = source
        self._index: dict[str, int] = {}
        for position, (raw, entry) in enumerate(zip(characters, self.characters, strict=True)):
            if entry and (entry not in self._index or raw == entry):
                self._index[entry] = position
        self.has_empty = "" in self.characters
        self._longest = max(map(len, self._index))
        self._map = {normalization(k): normalization(v) for k, v in (unknown_map or {}).items()}
        for character, replacement in self._map.items():
            strange = [c for c in self._split(replacement) if c not in self._index]
            if strange:
                raise ValueError(
                    f"unknown_map: {replacement!r} replaces {character!r}, but {describe_character(strange[0])} "
                    "is not in the charset either; choose another replacement"
                )

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: str) -> bool:
        return self.normalization.entry(character) in self._index

    def __repr__(self) -> str:
        return f"Charset({len(self)} characters from {self.source}, {self.fingerprint[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Charset) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the characters in their order, with direction and normalization where they are not the default:
        what the classes of a trained model mean."""
        facts: Any = list(self.characters)
        if further := ({"direction": "rtl"} if self.direction == "rtl" else {}) | self.normalization.facts:
            facts = {"characters": facts, **further}
        return hashlib.sha256(json.dumps(facts, ensure_ascii=True).encode()).hexdigest()

    def saved(self) -> dict[str, Any]:
        """Plain values that `from_saved` makes the same charset of."""
        return {
            "characters": list(self.entries),
            "lower": self.lower,
            "direction": self.direction,
            **self.normalization.facts,
            "fingerprint": self.fingerprint,
        }

    def codec(self, kind: Kind) -> Codec:
        """Classes of a kind of head: the characters and its special tokens."""
        if kind not in KINDS:
            raise ConfigError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        return KINDS[kind](len(self))

    def class_counts(self) -> dict[str, int]:
        """`out_channels` of the heads by kind, as PaddleOCR counts them."""
        return {kind: codec(len(self)).classes for kind, codec in KINDS.items()}

    def encode(self, text: str) -> list[int]:
        """Positions of a text's characters; see `codec` for the classes of a head.

        Raises UnknownCharacter if the policy does.
        """
        positions = []
        for character in self._split(self.normalize(text)):
            position = self._index.get(character)
            if position is not None:
                positions.append(position)
            elif self.unknown == "map" and character in self._map:
                positions.extend(self._index[c] for c in self._split(self._map[character]))
            elif self.unknown != "drop":
                raise UnknownCharacter(character)
        return self.turn(positions)

    def decode(self, positions: Iterable[int]) -> str:
        """The text of positions."""
        return "".join(self.characters[position] for position in self.turn(list(positions)))

    def order(self, positions: Sequence[int]) -> list[int]:
        """Where each character of the text of positions is in them."""
        if self.direction == "ltr":
            return list(range(len(positions)))
        return turned([self.characters[position] for position in positions])

    def turn(self, positions: Sequence[int]) -> list[int]:
        """Positions in logical order as drawn from left to right, and back; brackets are mirrored."""
        if self.direction == "ltr":
            return list(positions)
        entries = [self.characters[position] for position in positions]
        return [
            positions[place] if entries[place] == entry else self._index[entry]
            for place, entry in zip(turned(entries), mirrored(entries, self._index), strict=True)
        ]

    def normalize_label(self, text: str) -> str:
        """A label as it is compared with a reading: normalized, in its own case."""
        return self.normalization(text)

    def normalize(self, text: str) -> str:
        """A label as it is encoded: normalized, and in lower case if the charset is."""
        text = self.normalization(text)
        return text.lower() if self.lower else text

    def check(self, texts: Iterable[tuple[str, str]]) -> CharsetCoverage:
        """Counts unknown characters in (text, where it is) pairs, before any training.

        Raises:
            DataError: there are some that the policy does not allow, with the commonest, their count and where they
                are first.
        """
        unknown: Counter[str] = Counter()
        first: dict[str, str] = {}
        refused: Counter[str] = Counter()
        total = incomplete = 0
        for text, where in texts:
            total += 1
            strange = [c for c in self._split(self.normalize(text)) if c not in self._index]
            incomplete += bool(strange)
            for character in strange:
                unknown[character] += 1
                first.setdefault(character, where)
                if self.unknown == "error" or (self.unknown == "map" and character not in self._map):
                    refused[character] += 1
        coverage = CharsetCoverage(total, unknown, first, incomplete)
        if refused:
            raise DataError(self._refusal(refused, first))
        return coverage

    def _refusal(self, refused: Counter[str], first: Mapping[str, str]) -> str:
        """The line for characters that the policy does not allow: of the commonest one that the dictionary's lines
        explain, else of the commonest one."""
        ranked = [character for character, _ in refused.most_common()]
        explained = next((c for c in ranked if self.explain(c)), None)
        character = ranked[0] if explained is None else explained
        others = f" (and {len(refused) - 1} other character{'s' if len(refused) > 2 else ''})" if ranked[1:] else ""
        line = (
            f"{first[character]}: {describe_character(character)} is not in the charset ({self.source}), "
            f"{refused[character]} times{others}; "
        )
        if explained is not None:
            return line + self.explain(explained)
        if character == " ":
            return f"{line}set {option(self, 'use_space_char')}=true, or {option(self, 'unknown')}=drop"
        add = f"add it to the dictionary, use charset=from_labels, or set {option(self, 'unknown')}=map or drop"
        if any(map(is_invisible, character)) and self.normalization.invisible == "keep":
            return f"{line}set {option(self, 'invisible')}=clean, or {add}"
        return line + add

    def explain(self, character: str) -> str:
        """What line of the dictionary contains an unknown character among others, and the fix; "" if none does."""
        return explain_missing(character, self.characters, self.source)

    def _split(self, text: str) -> list[str]:
        """Entries of a text, longest first; what is not an entry stays one part: a code point and its marks."""
        parts = []
        start = 0
        while start < len(text):
            for end in range(min(start + self._longest, len(text)), start, -1):
                if text[start:end] in self._index:
                    break
            else:
                end = start + 1
            # Marks that follow belong to the character: without entries of their own, it is not an entry with them
            # either.
            stop = end
            while stop < len(text) and unicodedata.category(text[stop])[0] == "M" and text[stop] not in self._index:
                stop += 1
            parts.append(text[start:stop])
            start = stop
        return parts


def check_entries(characters: Sequence[str], source: str, aliases: Collection[int] = ()) -> None:
    """Raises ValueError for an empty or duplicate entry at a position that is not among `aliases`."""
    seen: dict[str, int] = {}
    for position, entry in enumerate(characters):
        where = f"{source}:{position + 1}"
        if position in aliases:
            continue
        if not entry:
            raise ValueError(f"{where}: expected a character, got an empty text; delete it, or write the character")
        if entry in seen:
            raise ValueError(
                f"{where}: duplicate character {describe_character(entry)}, first on line {seen[entry] + 1}; delete "
                "one of the lines, or empty the first one if weights were trained with this dictionary "
                "(its class stays)"
            )
        seen[entry] = position
