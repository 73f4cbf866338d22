"""The names in NumPy's and paddle's pickles, and what stands for a call of each: nothing is imported or called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

ITEM_BYTES = 16  # of an entry of a copied list, about
_DTYPE_KINDS = "biufc"


class CopyLimit(Protocol):
    """What counts the bytes of copies."""

    def charge(self, count: int) -> None:
        """Raises NotPlain if copies take more memory than the file may ask for."""


class NotPlain(ValueError):
    """The bytes are not a pickle of plain values; the message states why, without the file's name."""


class Name:
    """A name of a module's member, as text: nothing is imported."""

    __slots__ = ("member", "module")

    def __init__(self, module: str, member: str) -> None:
        self.module = module
        self.member = member

    def __str__(self) -> str:
        return f"{self.module}.{self.member}"


class Dtype:
    __slots__ = ("order", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.order = ""

    def numpy(self) -> np.dtype[Any]:
        order = self.order if self.order in ("<", ">") else ""
        try:
            dtype = np.dtype(order + self.text)
        except (TypeError, ValueError) as error:
            raise NotPlain(f"it has an array of an unknown type ({error})") from None
        if dtype.kind not in _DTYPE_KINDS or dtype.itemsize == 0:
            raise NotPlain(f"it has an array of {self.text!r}, expected numbers")
        return dtype


class Array:
    """An array of which the shape and the numbers are still to come."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray[Any, Any] | None = None


def known(module: str, member: str) -> Name:
    if (module, member) not in CALLS and (module, member) not in _TYPES:
        shown = f"{module}.{member}".encode("ascii", "backslashreplace").decode()[:80]
        raise NotPlain(f"it asks to import {shown}, which weights never need; do not use this file")
    return Name(module, member)


def key_of_dict(key: Any) -> Any:
    # Text is hashed with a secret of the process; large numbers could be chosen to collide.
    if type(key) is str or key is None or (type(key) in (int, bool, float) and -(2**31) < key < 2**31):
        return key
    raise NotPlain(f"it has a dict with {kind_shown(key)} as a key, expected text")


def array_of(machine: CopyLimit, numbers: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """A new array of the numbers' bytes; their count must be the shape's, so that a header cannot ask for memory."""
    if type(dtype) is not Dtype or type(shape) is not tuple or order not in ("C", "F"):
        raise NotPlain("it has an array with a damaged header")
    if type(numbers) is str:  # written by Python 2
        numbers = _encode(machine, numbers)
    if type(numbers) is not bytes:
        raise NotPlain(f"it has an array of {kind_shown(numbers)}, expected numbers")
    if len(shape) > 32 or not all(type(side) is int and 0 <= side < 2**40 for side in shape):
        raise NotPlain("it has an array with a damaged shape")
    kind = dtype.numpy()
    count = 1
    for side in shape:
        count *= side
    if count * kind.itemsize != len(numbers):
        raise NotPlain(f"it has an array of shape {list(shape)} with {len(numbers)} bytes")
    machine.charge(len(numbers))
    flat = np.frombuffer(numbers, kind).astype(kind.newbyteorder("="))
    return flat.reshape(shape, order=order)


def _reconstruct(machine: CopyLimit, kind: Any, shape: Any = None, code: Any = None) -> Array:
    del machine, shape, code  # of the empty array that NumPy starts from
    if type(kind) is not Name or (kind.module, kind.member) not in _TYPES:
        raise NotPlain("it has an array of a class of its own")
    return Array()


def _dtype(machine: CopyLimit, text: Any, align: Any = None, copy: Any = None) -> Dtype:
    del machine, align, copy
    text = text.decode("ascii") if type(text) is bytes else text
    if type(text) is not str or len(text) > 10:
        raise NotPlain(f"it has an array of {kind_shown(text)}, expected numbers")
    return Dtype(text)


def _scalar(machine: CopyLimit, dtype: Any, number: Any) -> Any:
    return array_of(machine, number, dtype, (), "C").item()


def _encode(machine: CopyLimit, text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or type(encoding) is not str or encoding not in ("latin1", "latin-1"):
        raise NotPlain("it is corrupted")
    machine.charge(len(text))
    return text.encode("latin-1")


def _bytes(machine: CopyLimit, content: Any = b"") -> bytes:
    del machine
    if type(content) is not bytes:
        raise NotPlain("it is corrupted")
    return content


def _tuple(machine: CopyLimit, content: Any = ()) -> tuple[Any, ...]:
    if type(content) not in (list, tuple):
        raise NotPlain("it is corrupted")
    machine.charge(ITEM_BYTES * len(content))
    return tuple(content)


def _dict(machine: CopyLimit, pairs: Any = ()) -> dict[Any, Any]:
    if type(pairs) not in (list, tuple) or not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
        raise NotPlain("it is corrupted")
    machine.charge(ITEM_BYTES * len(pairs))
    return {key_of_dict(key): value for key, value in pairs}


def _named_value(machine: CopyLimit, name: Any, values: Any) -> Any:
    """paddle 2.0 writes a tensor inside a container as eval("data", {"data": array}); only that text is taken."""
    del machine
    if name != "data" or type(values) is not dict or "data" not in values:
        raise NotPlain("it asks to import builtins.eval, which weights never need; do not use this file")
    return values["data"]


_TYPES = frozenset({("numpy", "ndarray")})
CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    **{(module, "_reconstruct"): _reconstruct for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
    **{(module, "scalar"): _scalar for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
    **{(module, "_frombuffer"): array_of for module in ("numpy.core.numeric", "numpy._core.numeric")},
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _dict,
    **{(module, "bytes"): _bytes for module in ("builtins", "__builtin__")},
    **{(module, "tuple"): _tuple for module in ("builtins", "__builtin__")},
    **{(module, "eval"): _named_value for module in ("builtins", "__builtin__")},
}


def kind_shown(value: Any) -> str:
    return f"the name {value}" if type(value) is Name else f"a {type(value).__name__.lstrip('_').lower()}"
