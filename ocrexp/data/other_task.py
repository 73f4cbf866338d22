"""Lists of the other task, recognized by their content: texts for a detector, regions for a recognizer."""

from __future__ import annotations

import re
from pathlib import Path

from ocrexp.charset.encodings import wide_encoding
from ocrexp.errors import ConfigError

_BYTES = 1 << 16  # of the file's beginning
_NUMBERS = re.compile(r"^\s*-?\d+(\.\d+)?\s*(,\s*-?\d+(\.\d+)?\s*){7}")  # eight coordinates: the legacy format
_USE = {"det": "dataset=det_list with model=db_mbv3", "rec": "dataset=rec_list with model=crnn_mbv3"}


def refuse_other_task(path: Path, task: str) -> None:
    """Raises ConfigError if the beginning of a list shows labels of the other task ("det" or "rec").

    A list that cannot be read is left to its reader.
    """
    try:
        if not path.is_file():  # opening a named pipe would block
            return
        with path.open("rb") as file:
            data = file.read(_BYTES)
    except OSError:  # its reader reports which
        return
    if wide_encoding(data):  # its reader refuses it
        return
    beginning = data.decode("utf-8", "replace")
    lines = beginning.splitlines()
    if len(lines) > 1 and len(beginning) >= _BYTES // 4:
        lines.pop()  # it may be cut
    labels = [label for _, tab, label in (line.partition("\t") for line in lines) if tab and label.strip()]
    regions = sum(1 for label in labels if _has_regions(label))
    if not labels:
        return
    if task == "rec" and 2 * regions > len(labels):
        raise ConfigError(
            f"{path}: this is a detection list (path<TAB>regions), but the run is a recognizer; use {_USE['det']}, or "
            "give a list with one text per image"
        )
    if task == "det" and not any(may_be_regions(label) for label in labels):
        raise ConfigError(
            f"{path}: this is a recognition list (path<TAB>text), but the run is a detector; use {_USE['rec']}, or "
            "give a list with regions"
        )


def _has_regions(label: str) -> bool:
    return ('"points"' in label and '"transcription"' in label) or bool(_NUMBERS.match(label))


def may_be_regions(label: str) -> bool:
    """Whether a label is one of detection, or was meant to be."""
    return label.lstrip()[:1] in ("[", "{") or label.count(",") >= 4 or "points" in label
