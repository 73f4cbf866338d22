"""Whether a plain value is what a type annotation asks for."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin


def type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a callable's parameters; empty if they cannot be resolved at run time."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # annotations that are imported for type checkers only
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain config value can be what an annotation asks for; unknown annotations fit everything."""
    origin = get_origin(hint)
    if isinstance(value, dict) and "_target_" in value:
        return True  # it is built first; its signature is checked separately
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if origin in (list, tuple) or getattr(origin, "__name__", "") == "Sequence":
        return _sequence_fits(value, origin, get_args(hint))
    if origin is dict or getattr(origin, "__name__", "") == "Mapping":
        return isinstance(value, dict)
    return True


def _sequence_fits(value: Any, origin: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, list | tuple):
        return False
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return not arguments or all(fits(item, arguments[0]) for item in value)


def choices(hint: Any) -> list[object]:
    """The values that an annotation lists with Literal, also as one of several types."""
    if get_origin(hint) in (Union, types.UnionType):
        return [choice for option in get_args(hint) for choice in choices(option)]
    return list(get_args(hint)) if get_origin(hint) is Literal else []


def in_words(hint: Any) -> str:
    """An annotation in words, for messages: `a whole number or null`."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(option) for option in get_args(hint))
    if origin is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if hint is type(None):
        return "null"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return names.get(hint) or str(hint).replace("typing.", "").replace("collections.abc.", "")
