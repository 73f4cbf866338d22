"""Tracing faster: paddle 3.3 rewrites the source of a layer's methods for each instance, and again in each call of it.

It keeps what it has rewritten by bound method, which is a new object at each access, so nothing is ever found again.
And for each function that is called it lists all functions of the standard library and of paddle, to look for it there.
Both are most of the time of a trace; the program that comes out is the same without them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_Function = Callable[..., Any]


@contextmanager
def convert_once() -> Iterator[None]:
    """Within it, `paddle.jit.to_static` rewrites each function once, and looks for it among paddle's own once.

    A version of paddle that has no such caches works as it does.
    """
    from paddle.jit.dy2static import convert_call_func, program_translator

    cache: Any = getattr(program_translator, "_FUNCTION_CACHE", None)
    is_unsupported = getattr(convert_call_func, "is_unsupported", None)
    if not hasattr(cache, "_convert") or not hasattr(cache, "convert_with_cache") or is_unsupported is None:
        yield
        return
    # Forgotten afterwards: a rewritten function has a copy of its module's globals.
    rewritten: dict[_Function, _Function] = {}
    unsupported: dict[_Function, bool] = {}

    def rewrite(function: _Function) -> _Function:
        plain = _plain(function)
        if plain not in rewritten:
            rewritten[plain] = cache._convert(plain)
        return rewritten[plain]

    def ask(function: _Function) -> bool:
        try:
            known = (plain := _plain(function)) in unsupported
        except TypeError:  # a callable object that cannot be a key
            return bool(is_unsupported(function))
        if not known:
            unsupported[plain] = bool(is_unsupported(function))
        return unsupported[plain]

    cache.convert_with_cache, convert_call_func.is_unsupported = rewrite, ask
    try:
        yield
    finally:
        del cache.convert_with_cache  # the class has it
        convert_call_func.is_unsupported = is_unsupported


def _plain(function: _Function) -> _Function:
    return function.__func__ if inspect.ismethod(function) else function
