"""The charset that a checkpoint or an export carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocrexp.charset.charset import Charset
from ocrexp.charset.direction import Direction
from ocrexp.charset.normalization import of_facts
from ocrexp.errors import CheckpointError


def from_saved(saved: Mapping[str, Any], source: str) -> Charset:
    """The charset of `Charset.saved`. Raises CheckpointError if it does not have the fingerprint that it states."""
    characters = list(saved["characters"])
    # A file defines its classes, duplicates too; texts that it did not learn are not an error.
    direction: Direction = "rtl" if saved.get("direction") == "rtl" else "ltr"  # earlier files do not contain it
    everywhere = range(len(characters))
    charset = Charset(characters, "drop", None, bool(saved["lower"]), source, everywhere, direction, of_facts(saved))
    if charset.fingerprint != saved["fingerprint"]:
        raise CheckpointError(
            f"{source}: the characters do not match their fingerprint; copy or download the file again"
        )
    return charset
