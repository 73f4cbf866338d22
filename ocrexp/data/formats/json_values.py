"""Values of JSON annotation files, checked before they are used."""

from __future__ import annotations

from typing import Any

from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.safe_files import read_json
from ocrexp.errors import DataError


def kept_json(folder: Folder, name: str) -> Any:
    """The value of a JSON file, kept for the second reading."""
    if name not in folder.kept:
        folder.kept[name] = read_json(folder.base / name)
    return folder.kept[name]


def mapping(value: Any, where: str) -> dict[str, Any]:
    """The value as a mapping. Raises DataError."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, got {type_name(value)}; is it another format?")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    """The value as a list. Raises DataError."""
    if not isinstance(value, list):
        raise DataError(f"{where}: expected a list, got {type_name(value)}; is it another format?")
    return value


def type_name(value: Any) -> str:
    """The JSON name of a value's type."""
    if isinstance(value, bool):
        return "true or false"
    return {dict: "an object", list: "a list", str: "a text", type(None): "nothing"}.get(type(value), "a number")


def text_of(value: Any, key: str) -> str | None:
    """The text at a key of an object; a number counts as one. None if there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, int | float) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) else None


def size_of(value: Any, width: str = "width", height: str = "height") -> tuple[int, int] | None:
    """Width and height of an image as an object states them; None if it does not."""
    if not isinstance(value, dict):
        return None
    found = [value.get(width), value.get(height)]
    if all(isinstance(side, int | float) and not isinstance(side, bool) and 0 < side < 1e6 for side in found):
        return int(found[0]), int(found[1])  # type: ignore[arg-type]
    return None
