"""What a conversion is asked for: the values of conf/convert.yaml, checked, and the data sets that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ocrexp.charset.dictionary import read_lines
from ocrexp.data.formats.entries import ReadOptions
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.registry import FORMATS, format_named, recognize
from ocrexp.data.formats.selection import Division, Filters, Origin, check_division
from ocrexp.data.formats.writer import WriteOptions
from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError, printable
from ocrexp.nearest import expected_one_of

_LEVELS = ("line", "word")


@dataclass(frozen=True)
class ConvertSettings:
    """The keys of conf/convert.yaml, checked."""

    origins: list[Origin]
    writer: str
    out: Path
    read: ReadOptions
    filters: Filters
    division: Division
    write: WriteOptions
    crops: bool
    crop_margin: float
    workers: int


def settings_from(values: Mapping[str, Any]) -> ConvertSettings:
    """The settings of plain values, by key. Raises ConfigError for invalid ones."""
    for name, advice in (
        ("root", "add a folder or an annotation file: root=DIR"),
        ("out", "add a new folder: out=DIR"),
    ):
        if values.get(name) is None:
            raise ConfigError(f"{name}: is missing; {advice}")
    _check_types(values)
    out = Path(values["out"]).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"out={out}: exists and is not overwritten; choose a new folder")
    writers = [name for name, found in FORMATS.items() if found.writer is not None]
    writer = format_named(values["to"], "to", writers)
    division = Division(
        values["split"], values["split_by"], values["split_seed"], values["limit"], values["sample"]
    )  # fmt: skip
    check_division(division)
    origins = _origins(values)
    read = ReadOptions(values["level"], values["text_key"])
    for option in ("level", "text_key"):
        takers = [origin for origin in origins if option in origin.format.options]
        if getattr(read, option) is not None and not takers:
            names = ", ".join(name for name, found in FORMATS.items() if option in found.options)
            raise ConfigError(f"{option}: {origins[0].format.name} does not use it; remove it (it is for {names})")
    kinds = {kind for origin in origins for kind in origin.format.kinds}
    crops, takes = values["crops"], (writer.writer.kinds if writer.writer else ())
    if crops and "det" not in kinds:
        raise ConfigError(f"crops: {origins[0].format.name} has one text per image, nothing is to be cut; remove it")
    task = "rec" if "det" not in takes else "det" if crops or "rec" not in takes else None
    if not crops and task is not None and task not in kinds:
        advice = "add crops=true to cut them" if task == "rec" else "choose another format with to="
        what = "regions" if task == "rec" else "one text per image"
        raise ConfigError(f"to={writer.name}: {origins[0].format.name} has {what}, which it does not hold; {advice}")
    if crops and "rec" not in takes:
        raise ConfigError(f"to={writer.name}: does not hold images of one text; remove crops=true, or choose another")
    characters = None
    if values["dictionary"] is not None:
        characters = _characters(Path(values["dictionary"]).expanduser(), values["use_space_char"])
    filters = Filters(
        values["missing_images"] == "keep", values["min_height"], characters, "det" if crops else task
    )  # fmt: skip
    workers = values["workers"] or available_cores()
    copy, shard_bytes = values["images"] == "copy", int(values["shard_mb"] * 1e6)
    write = WriteOptions(copy, values["placeholder"], shard_bytes, workers=workers)
    return ConvertSettings(
        origins, writer.name, out, read, filters, division,
        write, crops, values["crop_margin"], workers,
    )  # fmt: skip


_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    **dict.fromkeys(("to", "split_by", "placeholder", "out"), ("a text", (str,))),
    **dict.fromkeys(("image_root", "text_key", "dictionary"), ("a text or null", (str, type(None)))),
    **dict.fromkeys(("crops", "use_space_char", "formats"), ("true or false", (bool,))),
    **dict.fromkeys(("crop_margin", "min_height", "shard_mb"), ("a number of 0 or more", (int, float))),
    **dict.fromkeys(("split", "sample"), ("a number or null", (int, float, type(None)))),
    **dict.fromkeys(("limit", "workers"), ("a whole number of 1 or more, or null", (int, type(None)))),
    "split_seed": ("a whole number", (int,)),
}
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "images": ("link", "copy"), "missing_images": ("drop", "keep"), "level": (*_LEVELS, None),
}  # fmt: skip


def _check_types(values: Mapping[str, Any]) -> None:
    """Raises ConfigError for a value of the wrong type or out of range."""
    for key, (words, types) in _TYPES.items():
        value: Any = values[key]
        size = key in ("crop_margin", "min_height", "shard_mb") and isinstance(value, int | float)
        wrong = size and not 0 <= value < 1e6
        if wrong or not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ConfigError(f"{key}: expected {words}, got {value!r}")
    if values["workers"] is not None and values["workers"] < 1:
        raise ConfigError(f"workers: expected a whole number of 1 or more, or null, got {values['workers']}")
    for key, choices in _CHOICES.items():
        if values[key] not in choices:
            raise ConfigError(f"{key}: {expected_one_of(values[key], choices)}")
    if values["placeholder"].strip() in ("", "###", "*"):
        raise ConfigError(
            f"placeholder: expected a text that does not mark regions to ignore, got {values['placeholder']!r}"
        )


def _origins(values: Mapping[str, Any]) -> list[Origin]:
    roots, names = _several(values["root"]), _several(values["from"])
    if len(names) not in (1, len(roots)):
        raise ConfigError(f"from: expected one format, or one for each of the {len(roots)} roots, got {len(names)}")
    images = Path(values["image_root"]).expanduser() if values["image_root"] is not None else None
    if images is not None and not images.is_dir():
        raise ConfigError(f"image_root={printable(str(images))}: is not a folder; name the folder of the images")
    origins = []
    for root, name in zip_longest(roots, names, fillvalue=names[0]):
        path = Path(root).expanduser()
        if not path.exists():
            raise ConfigError(f"root={printable(root)}: does not exist; name a folder or an annotation file")
        folder = Folder(path, images)
        if name == "auto":
            origins.append(Origin(folder, *recognize(folder)))
        else:
            origins.append(Origin(folder, format_named(name, "from", ["auto", *FORMATS]), None))
    return origins


def _several(value: Any) -> list[str]:
    values = list(value) if isinstance(value, list) else [value]
    if not values:
        raise ConfigError("root: is empty; name a folder or an annotation file")
    return [str(item) for item in values]


def _characters(path: Path, space: bool) -> frozenset[str]:
    try:
        lines = read_lines(path)
    except OSError as error:
        raise ConfigError(
            f"dictionary={printable(str(path))}: cannot be read ({error.strerror}); give a file with one character "
            "per line"
        ) from None
    except ValueError as error:
        raise ConfigError(f"dictionary={printable(str(path))}:{error}") from None
    return frozenset("".join(lines)) | frozenset(" " if space else "")
