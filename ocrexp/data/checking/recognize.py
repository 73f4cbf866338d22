"""Which task a data set is for, by what is in its lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ocrexp.charset.encodings import wide_encoding
from ocrexp.data.lmdb_file import DATA_FILE
from ocrexp.data.other_task import may_be_regions
from ocrexp.errors import ConfigError

_BYTES = 1 << 18  # of a list's beginning
_LINES = 200
_ANGLES = frozenset(("0", "90", "180", "270"))
_LISTS = ("train_list.txt", "val_list.txt")
_FOLDERS = 200  # that are looked through for databases


def _value(overrides: Sequence[str], key: str) -> str | None:
    found = [item.partition("=")[2] for item in overrides if item.partition("=")[0].lstrip("+") == key]
    return found[-1].strip("'\"") if found else None


def has_databases(overrides: Sequence[str]) -> bool:
    """Whether the root folder of these overrides contains LMDB folders and none of the usual lists."""
    root = _value(overrides, "dataset.root")
    if root is None or _value(overrides, "dataset.train_labels") is not None:
        return False
    folder = Path(root).expanduser()
    if any((folder / name).is_file() for name in _LISTS):
        return False
    return any(DATA_FILE in files for _, (_, _, files) in zip(range(_FOLDERS), os.walk(folder), strict=False))


def task_of_data(overrides: Sequence[str]) -> str:
    """ "det", "rec" or "cls", by the lists that these overrides name. Raises ConfigError where that is not clear."""
    root = _value(overrides, "dataset.root")
    if root is None:
        raise ConfigError("dataset.root: is missing; add the folder of the data: dataset.root=DIR")
    if has_databases(overrides):
        return "rec"
    names = [name for key in ("train_labels", "val_labels") for name in _names(_value(overrides, f"dataset.{key}"))]
    paths = [Path(root).expanduser() / name for name in [*names, *_LISTS]]
    path = next((path for path in paths if path.is_file()), None)
    if not Path(root).expanduser().is_dir():
        raise ConfigError(f"dataset.root={root}: is not a folder; set dataset.root to the folder of the lists")
    if path is None:
        raise ConfigError(
            f"dataset.root={root}: contains no {_LISTS[0]}; set dataset.root to the folder of the lists, and "
            "dataset.train_labels=LIST where the list has another name"
        )
    with path.open("rb") as file:
        data = file.read(_BYTES)
    text = data.decode(wide_encoding(data) or "utf-8", "replace")
    lines = [line for line in text.splitlines()[:_LINES] if line.strip()]
    labels = [line.partition("\t")[2] or line for line in lines]
    regions = sum(may_be_regions(label) and ("[" in label or "," in label) for label in labels)
    if 2 * regions > len(labels):
        return "det"
    return "cls" if labels and {label.strip() for label in labels} <= _ANGLES else "rec"


def _names(value: str | None) -> list[str]:
    if not value or value == "null":
        return []
    return [name.strip(" '\"") for name in value.strip("[]").split(",")]
