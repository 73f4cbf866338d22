"""Checks the values of an `inference.yml`: types, finite numbers, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ocrexp.errors import printable

_MAX_SIDE = 20_000  # pixels of the input of a network
_MOST_PIXELS = 25_000_000  # maximum number of pixels of an input of fixed size
_LONGEST_LABEL = 100
_LARGEST_MEAN, _LEAST_STD = 1e4, 1e-6
_KINDS = {"det": ("DetResize",), "rec": ("RecResize", "SARResize"), "cls": ("RecResize", "SARResize")}
_SWITCHES = ("keep_ratio", "padding", "gray", "widen", "use_dilation", "largest_candidates", "skip_holes")
_SIDES = ("limit_side_len", "resize_long", "max_side", "max_width", "width_step", "min_side", "min_width")
_RANGES = {
    "thresh": (0.0, 1.0), "box_thresh": (0.0, 1.0), "unclip_ratio": (0.0, 100.0), "width_downsample_ratio": (0.0, 1.0),
    "max_candidates": (1, 1_000_000), "min_size": (0, _MAX_SIDE),
}  # fmt: skip
_TEXTS = ("kind", "limit_type", "interpolation", "name", "score_mode", "box_type")


class Described(Protocol):
    """What is checked of a `Description`."""

    @property
    def task(self) -> str: ...
    @property
    def resize(self) -> Mapping[str, Any]: ...
    @property
    def mean(self) -> Sequence[float]: ...
    @property
    def std(self) -> Sequence[float]: ...
    @property
    def channels(self) -> str: ...
    @property
    def postprocess(self) -> Mapping[str, Any]: ...
    @property
    def characters(self) -> tuple[Any, ...] | None: ...
    @property
    def ocrexp(self) -> Mapping[str, Any] | None: ...


def check_description(description: Described) -> None:
    """Raises ValueError, `key: expected …, got …`, for the first invalid value."""
    for name, values in (("mean", description.mean), ("std", description.std)):
        if len(values) not in (1, 3) or not all(abs(value) <= _LARGEST_MEAN for value in values):  # not NaN
            raise _wrong(name, f"one or three numbers from -{_LARGEST_MEAN:g} to {_LARGEST_MEAN:g}", list(values))
    if len(description.mean) != len(description.std):
        raise _wrong("std", f"as many numbers as mean has ({len(description.mean)})", list(description.std))
    if min(description.std) < _LEAST_STD:
        raise _wrong("std", f"numbers from {_LEAST_STD:g} on", list(description.std))
    if description.channels not in ("BGR", "RGB"):
        raise _wrong("channels", "BGR or RGB", description.channels)
    if description.resize.get("kind") not in _KINDS[description.task]:
        raise _wrong("resize.kind", " or ".join(_KINDS[description.task]), description.resize.get("kind"))
    if description.task != "det" and description.resize.get("image_shape") is None:
        raise _wrong("resize.image_shape", f"height and width, from 1 to {_MAX_SIDE}", None)
    _check_values("resize", description.resize)
    _check_area(description.resize)
    _check_values("postprocess", description.postprocess)
    if description.task == "cls" and "label_list" not in description.postprocess:
        raise _wrong("postprocess.label_list", "a list of labels", None)
    _check_characters(description.characters)
    _check_facts(description.ocrexp or {})


def _check_values(where: str, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        full = f"{where}.{printable(str(key))}"
        if key == "image_shape":
            if value is not None and not (
                isinstance(value, Sequence) and len(value) == 2 and all(_whole(side, 1, _MAX_SIDE) for side in value)
            ):
                raise _wrong(full, f"height and width, from 1 to {_MAX_SIDE}", value)
        elif key == "label_list":
            if not isinstance(value, list) or not value or not all(map(_is_label, value)):
                raise _wrong(full, f"a list of labels of up to {_LONGEST_LABEL} characters", value)
        elif value is None and key in (*_SIDES, *_RANGES):
            continue
        elif key in _SWITCHES:
            if not isinstance(value, bool):
                raise _wrong(full, "true or false", value)
        elif key in _SIDES:
            if not _whole(value, 1, _MAX_SIDE):
                raise _wrong(full, f"a whole number from 1 to {_MAX_SIDE}", value)
        elif key in _RANGES:
            low, high = _RANGES[key]
            right = _whole(value, low, high) if isinstance(low, int) else _number(value, low, high)
            if not right:
                raise _wrong(full, f"a number from {low:g} to {high:g}", value)
        elif key in _TEXTS and not isinstance(value, str):
            raise _wrong(full, "a text", value)


def _check_area(resize: Mapping[str, Any]) -> None:
    """Check that one input of a fixed size, or the widest text image, fits into the memory of any machine."""
    height, width = resize.get("image_shape") or (0, 0)
    if height * width > _MOST_PIXELS:
        raise _wrong("resize.image_shape", f"up to {_MOST_PIXELS} pixels", [height, width])
    if height * (widest := resize.get("max_width") or 0) > _MOST_PIXELS:
        raise _wrong("resize.max_width", f"up to {_MOST_PIXELS} pixels with a height of {height}", widest)


def _check_characters(characters: tuple[Any, ...] | None) -> None:
    for number, character in enumerate(characters or ()):
        if not isinstance(character, str):  # an empty string is a class too, as an empty line of a dictionary
            raise _wrong(f"PostProcess.character_dict[{number}]", "a character", character)
    if characters is not None and not any(map(str.strip, characters)):
        raise _wrong("PostProcess.character_dict", "characters", list(characters))


def _check_facts(facts: Mapping[str, Any]) -> None:
    files = facts.get("files", {})
    if not isinstance(files, dict) or not all(isinstance(text, str) for pair in files.items() for text in pair):
        raise _wrong("files", "names with their SHA-256", files)
    outputs = facts.get("outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(name, str) for name in outputs):
        raise _wrong("outputs", "a list of names", outputs)
    charset = facts.get("charset")
    if charset is not None and not isinstance(charset, dict):
        raise _wrong("charset", "a mapping", charset)


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int) and len(str(value)) <= _LONGEST_LABEL


def _whole(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high  # not NaN


def _wrong(key: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{key}: expected {expected}, got {printable(repr(value))[:60]}")
