"""Quotes the values of overrides so that Hydra reads texts and paths as they are typed."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from ocrexp.command_line import MAPPINGS, is_path, is_text, key_of, quote, takes_list
from ocrexp.config.paths import groups

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def as_text(verb: str, override: str, sweep: bool = False) -> str:
    """The override, quoted so that texts stay texts.

    A key that takes a text or a path gets the typed text as its value; in a path, `~` becomes the home folder. Quotes
    typed by the user, `null` and an interpolation `${…}` keep their meaning, and with `sweep` a comma separates values.
    The value of any other key is not changed if Hydra can read it.
    """
    typed_key, equals, value = override.partition("=")
    if not equals or value in ("", "null"):
        return override
    key = key_of(override)
    group = key in groups()
    if key in MAPPINGS and value[0] == "{" and value[-1] == "}" and not _parses(override):
        return f"{typed_key}={_mapping(value)}"
    if not group and not is_text(verb, key):
        return override if _parses(override) else f"{typed_key}={_fallback(value, sweep)}"
    lists = group or takes_list(verb, key)
    home = not group and is_path(verb, key)
    if not sweep and not group:
        return f"{typed_key}={_quoted_list(value, home) if lists else _quoted(value, home=home)}"
    if re.match(r"(choice|range|glob|sort|shuffle|tag|interval|extend_list)\(", value) and _parses(override):
        return override
    items = (item.strip() for item in split_list(value))
    return f"{typed_key}={','.join(_quoted_list(item, home) if lists else _quoted(item, home=home) for item in items)}"


def _quoted_list(value: str, home: bool = False) -> str:
    if value[:1] != "[" or value[-1:] != "]":
        return _quoted(value, home=home)
    return "[" + ",".join(_quoted(item.strip(), home=home) for item in split_list(value[1:-1]) if item.strip()) + "]"


def _mapping(value: str) -> str:
    """Converts `{é:e,’:"'"}`, which Hydra's grammar cannot read, to an interpolation that gives this mapping."""
    pairs = {}
    for item in split_list(value[1:-1]):
        key, colon, text = item.strip().partition(":")
        if not key and text[:1] == ":":  # the colon itself
            key, text = ":", text[1:]
        if not colon:
            return value
        pairs[_bare(key)] = _bare(text)
    return quote("${mapping:" + json.dumps(json.dumps(pairs, ensure_ascii=False), ensure_ascii=False) + "}")


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0] else text


def _fallback(value: str, sweep: bool) -> str:
    """Quotes a value that Hydra cannot read, a list item by item; a broken structure is not changed."""
    if value[0] == "[" and value[-1] == "]":
        return "[" + ",".join(_quoted(item.strip(), keep=True) for item in split_list(value[1:-1])) + "]"
    if value[0] in "[{\"'" or re.match(r"\w+\(", value):
        return value
    items = split_list(value) if sweep else [value]
    return ",".join(_quoted(item, keep=True) for item in items)


def split_list(text: str) -> list[str]:
    """Splits the text at commas outside of quotes and brackets."""
    items, item, quote, depth = [], "", "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[position - 1] != "\\" else quote
        elif character in "\"'" and not item.strip():
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth = max(0, depth - 1)
        elif character == "," and not depth:
            items.append(item)
            item = ""
            continue
        item += character
    return [*items, item]


def _quoted(text: str, keep: bool = False, home: bool = False) -> str:
    """A text as Hydra reads it; quoted only if necessary.

    `keep`: a value that Hydra can read keeps its type; `home`: `~` at the beginning is the home folder.
    """
    if home and text[:1] == "~":
        text = os.path.expanduser(text)  # noqa: PTH111 - `~nobody` stays as it is
    if text == "null" or (keep and _parses(f"key={text}")):
        return text
    if text[:1] in "\"'" and text[-1:] == text[:1] and len(text) > 1 and _parses(f"key={text}"):
        return text  # quotes typed by the user
    plain = _value(f"key={text}") if re.fullmatch(r"[\w./:@%+$ -]*", text, re.ASCII) else None
    if isinstance(plain, str) and plain == text and "${" not in text:
        return text
    return quote(text)


def reads_as_one(override: str) -> bool:
    """Whether Hydra reads the override, as one value and not as a sweep."""
    parsed = _read(override)
    return parsed is not None and not parsed.is_sweep_override()


def _parses(override: str) -> bool:
    return _read(override) is not None


def _value(override: str) -> object:
    """The value as Hydra reads it; None if Hydra cannot read it, or if it is a sweep."""
    parsed = _read(override)
    return None if parsed is None or parsed.is_sweep_override() else parsed.value()


def _read(override: str) -> Override | None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException, OverrideParseException

    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, OverrideParseException):
        return None
