"""Where charsets come from: a dictionary file, the configuration, the training labels."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ocrexp.charset.charset import Charset, Policy
from ocrexp.charset.direction import Direction
from ocrexp.errors import ConfigError


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
