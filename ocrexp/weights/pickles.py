"""Pickles read without unpickling: an interpreter of the pickle instructions that only knows plain values and arrays.

Python's own unpickler calls what a file names, and even one that refuses names can be made to allocate any amount of
memory. This one (see `pickle_machine`) has no instruction that imports, calls or builds an object of a class: the few
names that NumPy's and paddle's files contain are recognized by their text (see `pickle_names`). It handles protocols 0
to 5 of Python 2 and 3.

Time and memory are bounded by the size of the file: at most `MAX_INSTRUCTIONS`, no allocation by a stated size, nested
`MAX_DEPTH` levels at most, and nothing that is repeated by reference makes more of it than the file holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ocrexp.weights.pickle_machine import MARK, PickleMachine, Step, pairs
from ocrexp.weights.pickle_names import Array, NotPlain, kind_shown

__all__ = ["NotPlain", "read_pickle"]

MAX_DEPTH = 100
MAX_ITEMS = 300_000  # values of the tree that a file stands for


def read_pickle(data: bytes) -> Any:
    """The value that a pickle stands for: None, numbers, text, bytes, lists, tuples, dicts and NumPy arrays.

    Raises NotPlain for anything else, and for damaged, truncated or excessive contents.
    """
    try:
        value = PickleMachine(data).run(_TABLE, _REFUSED)
    except NotPlain:
        raise
    except (IndexError, struct.error):
        raise NotPlain("it is truncated or corrupted") from None
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, UnicodeError) as error:
        raise NotPlain(f"it is corrupted ({type(error).__name__}: {str(error)[:80]})") from None
    except MemoryError:
        raise NotPlain("it does not fit into memory") from None
    return _Finish().value(value, 0)


class _Finish:
    """Replaces unfinished arrays and refuses leftovers that are not values; bounds depth and size of the tree."""

    def __init__(self) -> None:
        self._count = 0

    def value(self, value: Any, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_ITEMS:
            raise NotPlain(f"it contains more than {MAX_ITEMS} values")
        if depth > MAX_DEPTH:
            raise NotPlain(f"it is nested more than {MAX_DEPTH} levels deep")
        if value is None or type(value) in (bool, int, float, str, bytes, np.ndarray):
            return value
        if type(value) is dict:
            return {key: self.value(item, depth + 1) for key, item in value.items()}
        if type(value) is list:
            return [self.value(item, depth + 1) for item in value]
        if type(value) is tuple:
            return tuple(self.value(item, depth + 1) for item in value)
        if type(value) is Array and value.value is not None:
            return value.value
        raise NotPlain(f"it contains {kind_shown(value)}, expected plain values and arrays")


def _text(form: str, decode: Callable[[bytes], Any]) -> Step:
    return lambda m: m.push(decode(bytes(m.take(m.number(form)))))


def _constant(make: Callable[[], Any]) -> Step:
    return lambda m: m.push(make())


def _utf8(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _latin(content: bytes) -> str:
    return content.decode("latin-1")


_TABLE: dict[int, Step] = {
    0x80: PickleMachine.check_protocol,
    0x95: PickleMachine.pass_over_frame,
    ord("("): lambda m: m.push(MARK),
    ord("0"): PickleMachine.drop,
    ord("1"): PickleMachine.drop_to_mark,
    ord("2"): PickleMachine.duplicate,
    ord("N"): _constant(lambda: None),
    0x88: _constant(lambda: True),
    0x89: _constant(lambda: False),
    ord("I"): PickleMachine.integer_line,
    ord("L"): PickleMachine.integer_line,
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.long(m.number("<B")),
    0x8B: lambda m: m.long(m.number("<i")),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("S"): PickleMachine.text_line,
    ord("T"): _text("<i", _latin),
    ord("U"): _text("<B", _latin),
    ord("V"): lambda m: m.push(m.line().decode("raw_unicode_escape")),
    ord("X"): _text("<I", _utf8),
    0x8C: _text("<B", _utf8),
    0x8D: _text("<Q", _utf8),
    ord("B"): _text("<I", bytes),
    ord("C"): _text("<B", bytes),
    0x8E: _text("<Q", bytes),
    0x96: _text("<Q", bytes),  # BYTEARRAY8: NumPy's arrays of protocol 5
    ord("]"): _constant(list),
    ord("}"): _constant(dict),
    ord(")"): _constant(tuple),
    ord("a"): PickleMachine.append,
    ord("e"): PickleMachine.extend,
    ord("s"): PickleMachine.set_item,
    ord("u"): PickleMachine.set_items,
    ord("l"): lambda m: m.push(m.pop_mark()),
    ord("d"): lambda m: m.push(pairs(m.pop_mark())),
    ord("t"): lambda m: m.push(tuple(m.pop_mark())),
    0x85: lambda m: m.make_tuple(1),
    0x86: lambda m: m.make_tuple(2),
    0x87: lambda m: m.make_tuple(3),
    ord("p"): lambda m: m.put(int(m.line())),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: PickleMachine.put_next,
    ord("g"): lambda m: m.get(int(m.line())),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    ord("c"): PickleMachine.name,
    0x93: PickleMachine.stack_name,
    ord("R"): PickleMachine.call,
    ord("b"): PickleMachine.set_state,
}
_REFUSED = {
    ord("i"): "INST", ord("o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    ord("P"): "PERSID", ord("Q"): "BINPERSID", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER", 0x8F: "EMPTY_SET",
    0x90: "ADDITEMS", 0x91: "FROZENSET",
}  # fmt: skip
