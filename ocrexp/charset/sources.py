"""Where charsets come from: a dictionary file, the configuration, the training labels."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ocrexp.charset.charset import Charset, Policy, check_entries
from ocrexp.charset.dictionary import read_lines
from ocrexp.charset.direction import Direction
from ocrexp.charset.normalization import Form, Invisible, Normalization
from ocrexp.errors import ConfigError

log = logging.getLogger(__name__)


def from_dictionary(
    path: str,
    use_space_char: bool = False,
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    direction: Direction = "auto",
    normalize: Form | None = "nfc",
    invisible: Invisible = "keep",
) -> Charset:
    """From a PaddleOCR dictionary: UTF-8, one character per line.

    Byte order marks and Windows line ends are not characters. An empty line is a class, as PaddleOCR counts it (its
    bn_dict.txt has one): no label has it, and it decodes to nothing.

    Args:
        path: the file.
        use_space_char: add a space as last character. If the file contains one already (en_dict.txt does) there are two
            classes for it, as in PaddleOCR, whose trained files need both: the last is encoded to, both are decoded.
        unknown: see Charset.
        unknown_map: see Charset.
        lower: see Charset.
        direction: see Charset.
        normalize: see Normalization.form.
        invisible: see Normalization.

    Raises:
        ConfigError: no such file, not UTF-8 text, a duplicate line.
        ValueError: an option that is not supported.
    """
    try:
        lines = read_lines(Path(path).expanduser())
    except OSError as error:
        raise ConfigError(
            f"dictionary {path}: cannot be read ({error.strerror}); give a text file with one character per line"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}:{error}") from None
    aliases = [position for position, line in enumerate(lines) if not line]
    if aliases:
        shown = ", ".join(str(position + 1) for position in aliases[:5]) + (", …" if len(aliases) > 5 else "")
        log.info("%s: empty on line %s; kept as a class that no label has, as in PaddleOCR", path, shown)
    if use_space_char:
        if " " in lines:
            aliases.append(len(lines))
        lines.append(" ")
    return Charset(
        lines, unknown, unknown_map, lower, str(path), aliases, direction, Normalization(normalize, invisible)
    )


def from_characters(
    characters: str | Sequence[str],
    use_space_char: bool = False,
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    direction: Direction = "auto",
    normalize: Form | None = "nfc",
    invisible: Invisible = "keep",
) -> Charset:
    """From characters in the configuration: a text, or a list where a character has several code points.

    Raises ValueError for a duplicate or empty one and for an option that is not supported. The other arguments are
    those of `from_dictionary`.
    """
    normalization = Normalization(normalize, invisible)
    if not isinstance(characters, str):
        entries = list(characters)
    else:  # a character with its marks is one entry wherever Unicode has it composed
        entries = list(characters if normalization.form is None else unicodedata.normalize("NFC", characters))
    if use_space_char and " " not in entries:
        entries.append(" ")
    check_entries(entries, "characters")
    source = "the configured characters"
    return Charset(entries, unknown, unknown_map, lower, source, (), direction, normalization)


def from_classes(
    characters: Sequence[str],
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    direction: Direction = "ltr",
    normalize: Form | None = "nfc",
    invisible: Invisible = "keep",
) -> Charset:
    """From the characters of a trained model, as its checkpoint has them: duplicate and empty ones keep their classes.

    The other arguments are those of `from_dictionary`.
    """
    everywhere = range(len(characters))
    normalization = Normalization(normalize, invisible)
    source = "the run's characters"
    return Charset(characters, unknown, unknown_map, lower, source, everywhere, direction, normalization)


def from_labels(
    texts: Iterable[str],
    unknown: Policy = "error",
    unknown_map: Mapping[str, str] | None = None,
    lower: bool = False,
    min_count: int = 1,
    direction: Direction = "auto",
    normalize: Form | None = "nfc",
    invisible: Invisible = "keep",
) -> Charset:
    """From the training labels: their code points after normalization, in code point order (combining marks are
    entries).

    Args:
        texts: the training labels (the run fills this in).
        unknown: for labels that come later; see Charset.
        unknown_map: see Charset.
        lower: see Charset.
        min_count: drop characters that occur less often.
        direction: see Charset.
        normalize: see Normalization.form.
        invisible: see Normalization.

    Raises ValueError if there are no characters.
    """
    normalization = Normalization(normalize, invisible)
    counts: Counter[str] = Counter()
    for text in texts:
        normal = normalization(text)
        counts.update(normal.lower() if lower else normal)
    characters = sorted(character for character, count in counts.items() if count >= min_count)
    if not characters:
        raise ValueError("the training labels contain no characters; check the training lists")
    return Charset(characters, unknown, unknown_map, lower, "the training labels", (), direction, normalization)
