"""Names that users of labeling tools choose: of the attribute that has the text, and of marks of regions to ignore."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ocrexp.data.formats.entries import Account

TEXT_KEYS = ("transcription", "text", "label", "value", "ocr", "word", "transcript", "utf8_string", "caption")
LANGUAGE = "language"
UNKNOWN_TEXT = "file none of whose attributes is known to have the text, read without texts; text_key=NAME names it"
_IGNORED = frozenset(("ignore", "ignored", "difficult", "illegible", "unreadable", "dontcare", "donotcare"))
_YES = (True, 1, "1", "true", "yes")


def _plain(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name.casefold())


def text_key(names: Iterable[str], wanted: str | None, place: str, account: Account) -> str | None:
    """The attribute that holds the text: the wanted one, or a usual name in any case, or the only one that is nothing
    else. That there is none although there are attributes is counted."""
    found = [name for name in dict.fromkeys(names) if name and not is_ignored(name) and name != LANGUAGE]
    by_name = {name.casefold(): name for name in reversed(found)}
    usual = next((by_name[key] for key in TEXT_KEYS if key in by_name), None)
    key = wanted or usual or (found[0] if len(found) == 1 else None)
    if found and key not in found:
        account.change(UNKNOWN_TEXT, f"{place}: {', '.join(found)}")
    return key


def is_ignored(name: str) -> bool:
    """Whether a class, a label or an attribute is named as one of regions to ignore: `Ignore`, `don't care`."""
    return _plain(name) in _IGNORED


def take_marks(attributes: dict[str, Any]) -> bool:
    """Whether attributes mark a region to be ignored; those that can are removed."""
    marks = [attributes.pop(name) for name in list(attributes) if is_ignored(name)]
    return any(_is_yes(mark) for mark in marks)


def _is_yes(value: Any) -> bool:
    if isinstance(value, Mapping):  # VIA's checkbox
        return any(_is_yes(one) for one in value.values())
    return (value.strip().casefold() if isinstance(value, str) else value) in _YES
