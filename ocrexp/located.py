"""Where in the configuration a value stands that a part cannot use: parts do not know their address."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def located(where: str, part: Callable[..., Any]) -> Iterator[None]:
    """A ValueError of the block is one of `part`, whose config key is `where`: it is raised again with that address.

    `scale must be above 0` of a part with a parameter `scale` becomes `WHERE.scale must be above 0`, anything else
    `WHERE: …`.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(address(where, part, str(error))) from error


def address(where: str, part: Any, message: str) -> str:
    """A part's message with its address, see `located`."""
    first = re.match(r"\w+(?=[.=:\[ ])", message)
    own = first is not None and first[0] in _parameters(part)
    return f"{where}.{message}" if own else f"{where}: {message}"


def _parameters(part: Any) -> set[str]:
    """Names of the parameters of a class, a function, or what a partial of them calls."""
    while isinstance(part, functools.partial):
        part = part.func
    try:
        return set(inspect.signature(part).parameters)
    except (TypeError, ValueError):  # it is not called, or has no signature
        return set()
