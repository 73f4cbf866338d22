"""The characters that a recogniser knows: one object that encodes, decodes, and is told apart by a fingerprint.

A character is an entry of the dictionary: one code point or several (after Unicode normalisation to NFC, which labels
pass too). Texts are read from the left, the longest entry first.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ocrexp.data.codecs import KINDS, Codec, Kind
from ocrexp.data.direction import Direction, mirrored, resolved, turned
from ocrexp.errors import CheckpointError, ConfigError, DataError

Policy = Literal["error", "map", "drop"]
_POLICIES = ("error", "map", "drop")


class UnknownCharacter(ValueError):
    """A text holds a character that the charset does not; `character` is the whole of it, marks included."""

    def __init__(self, character: str) -> None:
        super().__init__(f"{describe(character)} is not in the charset")
        self.character = character


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a charset makes of texts: characters that it does not know, how often each, and where each was first."""

    texts: int
    unknown: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    incomplete: int = 0  # texts that hold an unknown character

    def describe(self) -> str:
        """One line, or "" if all is known."""
        if not self.unknown:
            return ""
        shown = ", ".join(f"{describe(c)} {n}×" for c, n in self.unknown.most_common(5))
        more = f" and {len(self.unknown) - 5} more" if len(self.unknown) > 5 else ""
        return (
            f"{len(self.unknown)} character{'s' if len(self.unknown) > 1 else ''} outside the charset, "
            f"{self.unknown.total()} times in {self.incomplete} of "
            f"{self.texts} labels: {shown}{more}"
        )


class Charset:
    """An ordered set of characters.

    Args:
        characters: entries in class order, each a character of one or more code points.
        unknown: what to do with a character of a training label that is not among them: `error`; `map`: replace it by
            `unknown_map`, an error if it is not there either; `drop`: leave it out. Every one is counted by `check`.
        unknown_map: character to what stands for it ("" to leave it out).
        lower: lower-case texts before encoding (PaddleOCR without a dictionary).
        source: where the characters come from, for messages.
        direction: `rtl`: labels are in logical order and classes in the order in which a right-to-left text is drawn;
            `auto`: see `ocrexp.data.direction.resolved`.
        aliases: positions whose entry may equal another one (PaddleOCR's second blank); they are decoded, and the last
            of equals is encoded to.

    Raises:
        ConfigError: no characters, an empty or doubled entry, a map to characters that are not there.

    Entries that only differ before NFC (compatibility ideographs of ppocr_keys_v1) both stay, for the classes of
    trained files: both decode to the same character, and it is encoded as the entry that is in NFC.
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
    ) -> None:
        if unknown not in _POLICIES:
            raise ConfigError(f"charset.unknown={unknown}: choose error, map or drop")
        if unknown_map and unknown != "map":
            raise ConfigError(f"charset.unknown_map is given but charset.unknown={unknown}: set charset.unknown=map")
        if not characters:
            raise ConfigError(f"{source}: no characters")
        self._check_entries(characters, source, set(aliases))
        self.characters = tuple(unicodedata.normalize("NFC", entry) for entry in characters)
        self.unknown: Policy = unknown
        self.lower = lower
        self.direction = resolved(direction, characters, source)
        self.source = source
        self._index: dict[str, int] = {}
        for position, (raw, entry) in enumerate(zip(characters, self.characters, strict=True)):
            if entry not in self._index or raw == entry:
                self._index[entry] = position
        self._longest = max(map(len, self._index))
        self._map = {unicodedata.normalize("NFC", k): v for k, v in (unknown_map or {}).items()}
        for character, replacement in self._map.items():
            strange = [c for c in self._split(replacement) if c not in self._index]
            if strange:
                raise ConfigError(
                    f"charset.unknown_map: {character!r} stands for {replacement!r}, of which {describe(strange[0])} "
                    "is not in the charset either"
                )

    @staticmethod
    def _check_entries(characters: Sequence[str], source: str, aliases: set[int]) -> None:
        seen: dict[str, int] = {}
        for position, entry in enumerate(characters):
            where = f"{source}:{position + 1}"
            if not entry:
                raise ConfigError(f"{where}: empty line in the dictionary; delete it, or write the character")
            if entry in seen and position not in aliases:
                raise ConfigError(
                    f"{where}: {describe(entry)} is there a second time, after line {seen[entry] + 1}; delete one"
                )
            seen[entry] = position

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: str) -> bool:
        return unicodedata.normalize("NFC", character) in self._index

    def __repr__(self) -> str:
        return f"Charset({len(self)} characters from {self.source}, {self.fingerprint[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Charset) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the characters in their order: what the classes of a trained model mean."""
        facts: Any = list(self.characters)
        if self.direction == "rtl":
            facts = {"characters": facts, "direction": "rtl"}
        return hashlib.sha256(json.dumps(facts, ensure_ascii=True).encode()).hexdigest()

    def saved(self) -> dict[str, Any]:
        """Plain values that `from_saved` makes the same charset of."""
        return {
            "characters": list(self.characters),
            "lower": self.lower,
            "direction": self.direction,
            "fingerprint": self.fingerprint,
        }

    def codec(self, kind: Kind) -> Codec:
        """Classes of a kind of head: the characters and its special tokens."""
        if kind not in KINDS:
            raise ConfigError(f"no tokens of kind {kind!r}: choose one of {', '.join(KINDS)}")
        return KINDS[kind](len(self))

    def class_counts(self) -> dict[str, int]:
        """`out_channels` of the heads by kind, as PaddleOCR counts them."""
        return {kind: codec(len(self)).classes for kind, codec in KINDS.items()}

    def encode(self, text: str) -> list[int]:
        """Positions of a text's characters; see `codec` for the classes of a head.

        Raises UnknownCharacter as the policy says.
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

    def normalize(self, text: str) -> str:
        """NFC, lower case if the charset is: the text as the model sees it. Metrics compare the raw one."""
        text = unicodedata.normalize("NFC", text)
        return text.lower() if self.lower else text

    def check(self, texts: Iterable[tuple[str, str]]) -> Coverage:
        """Counts unknown characters in (text, where it stands) pairs, before any training.

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
        coverage = Coverage(total, unknown, first, incomplete)
        if refused:
            character, count = refused.most_common(1)[0]
            others = f" (and {len(refused) - 1} other characters)" if len(refused) > 1 else ""
            raise DataError(
                f"{first[character]}: {describe(character)} is not in the charset {self.source}, {count} times{others}"
                "; add it to the dictionary, use charset=from_labels, or set charset.unknown=map or drop"
            )
        return coverage

    def _split(self, text: str) -> list[str]:
        """Entries of a text, longest first; what is none is kept whole: a code point with its combining marks."""
        parts = []
        start = 0
        while start < len(text):
            for end in range(min(start + self._longest, len(text)), start, -1):
                if text[start:end] in self._index:
                    break
            else:
                end = start + 1
            # Marks that follow belong to the character: if they are no entries, nor is it with them.
            stop = end
            while stop < len(text) and unicodedata.category(text[stop])[0] == "M" and text[stop] not in self._index:
                stop += 1
            parts.append(text[start:stop])
            start = stop
        return parts


def from_saved(saved: Mapping[str, Any], source: str) -> Charset:
    """The charset that a checkpoint or an export carries. Raises CheckpointError if it is not what it says it is."""
    characters = list(saved["characters"])
    # A file says what its classes are, doubled ones too; texts that it did not learn are no error to it.
    direction: Direction = "rtl" if saved.get("direction") == "rtl" else "ltr"  # earlier files do not say it
    everywhere = range(len(characters))
    charset = Charset(characters, "drop", None, bool(saved["lower"]), source, everywhere, direction)
    if charset.fingerprint != saved["fingerprint"]:
        raise CheckpointError(f"{source}: its characters do not have the fingerprint that it states; fetch it again")
    return charset


def describe(character: str) -> str:
    """'é' (U+00E9), also for characters of several code points and invisible ones."""
    points = " ".join(f"U+{ord(point):04X}" for point in character)
    shown = character if character.isprintable() else "?"
    return f"'{shown}' ({points})"


def from_dictionary(
    path: str,
    use_space_char: bool = False,
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    direction: Direction = "auto",
) -> Charset:
    """From a PaddleOCR dictionary: UTF-8, a character a line (BOM and Windows line ends are taken).

    Args:
        path: the file.
        use_space_char: add a blank as last character. If the file holds one already (en_dict.txt does) there are two
            classes for it, as in PaddleOCR, whose trained files need both: the last is encoded to, both are decoded.
        unknown: see Charset.
        unknown_map: see Charset.
        lower: see Charset.
        direction: see Charset.

    Raises:
        ConfigError: no such file, not UTF-8, an empty or doubled line.
    """
    file = Path(path).expanduser()
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"charset.path={path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save the dictionary as UTF-8") from None
    # Not splitlines(): some characters of dictionaries count as line ends there.
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    if lines[-1] == "":
        lines.pop()
    aliases = []
    if use_space_char:
        if " " in lines:
            aliases.append(len(lines))
        lines.append(" ")
    return Charset(lines, unknown, unknown_map, lower, str(path), aliases, direction)


def from_characters(
    characters: str | Sequence[str],
    use_space_char: bool = False,
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    direction: Direction = "auto",
) -> Charset:
    """From characters in the configuration: a text, or a list where a character has several code points.

    Raises ConfigError for a doubled one. The other arguments are those of `from_dictionary`.
    """
    entries = list(unicodedata.normalize("NFC", characters)) if isinstance(characters, str) else list(characters)
    if use_space_char and " " not in entries:
        entries.append(" ")
    return Charset(entries, unknown, unknown_map, lower, source="charset.characters", direction=direction)


def from_labels(
    texts: Iterable[str],
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    min_count: int = 1,
    direction: Direction = "auto",
) -> Charset:
    """From the training labels: their code points after NFC, in code point order (combining marks are entries).

    Args:
        texts: the training labels (the run fills this in).
        unknown: for labels that come later; see Charset.
        unknown_map: see Charset.
        lower: see Charset.
        direction: see Charset.
        min_count: leave out characters that occur less often.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        normal = unicodedata.normalize("NFC", text)
        counts.update(normal.lower() if lower else normal)
    characters = sorted(character for character, count in counts.items() if count >= min_count)
    if not characters:
        raise ConfigError("charset=from_labels: the training labels hold no characters")
    return Charset(characters, unknown, unknown_map, lower, source="the training labels", direction=direction)
