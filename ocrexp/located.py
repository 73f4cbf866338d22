"""Where in the configuration a part and its options are: parts do not know their address, `build()` records it here."""

from __future__ import annotations

import functools
import inspect
import re
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def located(
    where: str, part: Callable[..., Any] | Collection[str], error_type: type[Exception] = ValueError
) -> Iterator[None]:
    """A ValueError of the block is one of `part`, whose config key is `where`: it is raised again with that address.

    Args:
        where: the config key of the part.
        part: a class, function or partial with the options as parameters, or the options' names.
        error_type: what is raised.
    """
    try:
        yield
    except ValueError as error:
        raise error_type(address(where, part, str(error))) from error


def address(where: str, part: Any, message: str) -> str:
    """A part's message with its address.

    `scale must be above 0` of a part with a parameter `scale` becomes `WHERE.scale must be above 0`, anything else
    `WHERE: …`. Advice such as `set width=8` becomes `set WHERE.width=8` where `width` is a parameter of the part too.
    """
    names = _parameters(part)
    first = re.match(r"\w+(?=[.=:,\[ ])", message)
    begins = "." if first is not None and first[0] in names else ": "

    def full(found: re.Match[str]) -> str:
        return f"{where}.{found[0]}" if found.start() and found[1] in names else found[0]

    return f"{where}{begins}{_SETTING.sub(full, message)}"


@contextmanager
def addressed(part: object, error_type: type[Exception]) -> Iterator[None]:
    """A ValueError of the block is one of an option of `part`, an object that was built earlier: it is raised again as
    `error_type` with the address of the part, where `build()` has recorded one."""
    try:
        yield
    except ValueError as error:
        where = _where(part)
        raise error_type(address(where, type(part), str(error)) if where else str(error)) from error


# `name=` that is not within a path, a quoted value or a key.
_SETTING = re.compile(r"(?<![\w./'\"\[{=-])(\w+)(?:\.\w+)*=")
_addresses: dict[int, tuple[weakref.ref[Any], str]] = {}  # by identity: parts may be equal, or have no hash


def remember(part: Any, where: str) -> None:
    """Record that a part was built from the config key `where`."""
    key = id(part)
    try:
        _addresses[key] = weakref.ref(part, lambda _: _addresses.pop(key, None)), where
    except TypeError:  # a plain value, or without weak references: its messages name the options alone
        return


def option(part: Any, name: str) -> str:
    """An option of a part as the user sets it: with its config key where it was built from one, else the name alone."""
    where = _where(part)
    return f"{where}.{name}" if where else name


def _where(part: object) -> str | None:
    found = _addresses.get(id(part))
    return found[1] if found is not None and found[0]() is part else None


def _parameters(part: Any) -> set[str]:
    """Names of the parameters of a class, a function, or what a partial of them calls; or the names themselves."""
    if isinstance(part, Collection):
        return set(part)
    while isinstance(part, functools.partial):
        part = part.func
    try:
        return set(inspect.signature(part).parameters)
    except (TypeError, ValueError):  # it is not called, or has no signature
        return set()
