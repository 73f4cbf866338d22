"""Tracing faster. Three habits of paddle 3.3 are most of the time of a trace:

- It rewrites the source of a layer's methods for each instance, and again in each call: it keeps the results by bound
  method, which is a new object at each access, so nothing is ever found again.
- For each function that is called it lists all functions of the standard library and of paddle, to look for it there.
- After each layer it lists all operators so far, to note the layer's name in the new ones, for automatic parallelism.

The program that comes out is the same without them, but for these names, which count up in a process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

_Function = Callable[..., Any]


@contextmanager
def fast_trace() -> Iterator[None]:
    """Within it, `paddle.jit.to_static` rewrites each function once, looks for it among paddle's own once, and notes no
    names of layers.

    A version of paddle that works in another way is left as it is.
    """
    from paddle.jit.dy2static import convert_call_func, program_translator
    from paddle.nn.layer import layers

    cache: Any = getattr(program_translator, "_FUNCTION_CACHE", None)
    is_unsupported = getattr(convert_call_func, "is_unsupported", None)
    name_struct = getattr(layers, "name_struct", None)
    if (
        not hasattr(cache, "_convert")
        or not hasattr(cache, "convert_with_cache")
        or not is_unsupported
        or not name_struct
    ):
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
    layers.name_struct = nullcontext
    try:
        yield
    finally:
        del cache.convert_with_cache  # the class has it
        convert_call_func.is_unsupported = is_unsupported
        layers.name_struct = name_struct


def _plain(function: _Function) -> _Function:
    return function.__func__ if inspect.ismethod(function) else function
