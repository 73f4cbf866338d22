"""Pickles read without unpickling: an interpreter of the pickle instructions that only knows plain values and arrays.

Python's own unpickler calls what a file names, and even one that refuses names can be made to allocate any amount of
memory. This one has no instruction that imports, calls or builds an object of a class: the few names that NumPy's and
paddle's files contain are recognized by their text (see `pickle_names`). It handles protocols 0 to 5 of
Python 2 and 3.

Time and memory are bounded by the size of the file: at most `MAX_INSTRUCTIONS`, no allocation by a stated size, nested
`MAX_DEPTH` levels at most, and nothing that is repeated by reference makes more of it than the file holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ocrexp.weights.pickle_names import (
    CALLS,
    Array,
    Dtype,
    Name,
    NotPlain,
    array_of,
    key_of_dict,
    kind_shown,
    known,
)

__all__ = ["NotPlain", "read_pickle"]

MAX_INSTRUCTIONS = 3_000_000
MAX_DEPTH = 100
MAX_ITEMS = 300_000  # values of the tree that a file stands for
_NUMBER_BYTES = 16  # of a whole number


class _Mark:
    __slots__ = ()


_MARK = _Mark()


def read_pickle(data: bytes) -> Any:
    """The value that a pickle stands for: None, numbers, text, bytes, lists, tuples, dicts and NumPy arrays.

    Raises NotPlain for anything else, and for damaged, truncated or excessive contents.
    """
    try:
        value = _Machine(data).run()
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


class _Machine:
    def __init__(self, data: bytes) -> None:
        self._bytes = data
        self._data = memoryview(data)
        self._at = 0
        self._budget = 2 * len(data) + 65_536  # bytes that copies of the file's contents may take
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        stack, table, data = self._stack, _TABLE, self._data
        if not len(data):
            raise NotPlain("it is empty")
        for _ in range(MAX_INSTRUCTIONS):
            code = data[self._at]
            self._at += 1
            if code == 0x2E:  # STOP
                if len(stack) != 1 or stack[0] is _MARK:
                    raise NotPlain("it is corrupted")
                return stack[0]
            step = table.get(code)
            if step is None:
                raise NotPlain(
                    f"it contains the pickle instruction {_REFUSED[code]}, which weights do not need"
                    if code in _REFUSED
                    else "it is corrupted, or not a pickle"
                )
            step(self)
        raise NotPlain(f"it has more than {MAX_INSTRUCTIONS} instructions")

    # Reading bytes.

    def take(self, count: int) -> memoryview:
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise IndexError
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        return int(struct.unpack(form, self.take(size))[0])

    def line(self) -> bytes:
        """Up to the line's end."""
        end = self._bytes.find(b"\n", self._at)
        if end < 0:
            raise IndexError
        return bytes(self.take(end + 1 - self._at)[:-1])

    def pass_over_frame(self) -> None:
        self.take(8)

    def check_protocol(self) -> None:
        number = self.number("<B")
        if number > 5:
            raise NotPlain(f"it is written in pickle protocol {number}, expected up to 5")

    def charge(self, count: int) -> None:
        """Count bytes that are made of others, so that a few of the file do not become many by repetition."""
        self._budget -= count
        if self._budget < 0:
            raise NotPlain("it repeats its contents until they exceed its size")

    # The stack.

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise NotPlain("it is corrupted")
        return value

    def pop_mark(self) -> list[Any]:
        stack = self._stack
        for position in range(len(stack) - 1, -1, -1):
            if stack[position] is _MARK:
                items = stack[position + 1 :]
                del stack[position:]
                return items
        raise NotPlain("it is corrupted")

    def drop(self) -> None:
        self._stack.pop()

    def drop_to_mark(self) -> None:
        self.pop_mark()

    def duplicate(self) -> None:
        self.push(self._stack[-1])

    def top(self, kind: type) -> Any:
        value = self._stack[-1]
        if type(value) is not kind:
            raise NotPlain("it is corrupted")
        return value

    # The memo.

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def get(self, index: int) -> None:
        if index not in self._memo:
            raise NotPlain("it is corrupted")
        self.push(self._memo[index])

    # Values.

    def append(self) -> None:
        value = self.pop()
        self.top(list).append(value)

    def extend(self) -> None:
        items = self.pop_mark()
        self.top(list).extend(items)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.top(dict)[key_of_dict(key)] = value

    def set_items(self) -> None:
        items = self.pop_mark()
        self.top(dict).update(_pairs(items))

    def make_tuple(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def text_line(self) -> None:
        """STRING of protocol 0: a quoted Python 2 literal."""
        text = self.line().strip()
        if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
            raise NotPlain("it is corrupted")
        self.push(text[1:-1].decode("unicode_escape"))

    def integer_line(self) -> None:
        text = self.line()
        if text in (b"00", b"01"):
            self.push(text == b"01")
            return
        if len(text) > 40:
            raise NotPlain("it contains an integer with too many digits")
        self.push(int(text.rstrip(b"L")))

    def long(self, count: int) -> None:
        if not 0 <= count <= _NUMBER_BYTES:
            raise NotPlain("it contains an integer with too many digits")
        self.push(int.from_bytes(self.take(count), "little", signed=True))

    # What stands for calls in NumPy's and paddle's files.

    def name(self) -> None:
        module, member = self.line().decode("ascii", "replace"), self.line().decode("ascii", "replace")
        self.push(known(module, member))

    def stack_name(self) -> None:
        member, module = self.pop(), self.pop()
        if type(member) is not str or type(module) is not str:
            raise NotPlain("it is corrupted")
        self.push(known(module, member))

    def call(self) -> None:
        arguments, name = self.pop(), self.pop()
        if type(name) is not Name or type(arguments) is not tuple:
            raise NotPlain("it is corrupted")
        self.push(CALLS[name.module, name.member](self, *arguments))

    def set_state(self) -> None:
        state, target = self.pop(), self._stack[-1]
        if type(state) is not tuple or type(target) not in (Array, Dtype):
            raise NotPlain(f"it sets the state of {kind_shown(target)}, expected an array's")
        if type(target) is Dtype:
            # version, byte order, …; what follows belongs to records and subarrays, which have other kinds.
            if len(state) < 2 or type(state[1]) not in (str, bytes):
                raise NotPlain("it is corrupted")
            target.order = state[1] if type(state[1]) is str else state[1].decode("ascii")
            return
        shape, dtype, fortran, numbers = state[-4:]
        target.value = array_of(self, numbers, dtype, shape, "F" if fortran else "C")


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise NotPlain("it is corrupted")
    return {key_of_dict(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


Step = Callable[[_Machine], None]


def _text(form: str, decode: Callable[[bytes], Any]) -> Step:
    return lambda m: m.push(decode(bytes(m.take(m.number(form)))))


def _constant(make: Callable[[], Any]) -> Step:
    return lambda m: m.push(make())


def _utf8(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _latin(content: bytes) -> str:
    return content.decode("latin-1")


_TABLE: dict[int, Step] = {
    0x80: _Machine.check_protocol,
    0x95: _Machine.pass_over_frame,
    ord("("): lambda m: m.push(_MARK),
    ord("0"): _Machine.drop,
    ord("1"): _Machine.drop_to_mark,
    ord("2"): _Machine.duplicate,
    ord("N"): _constant(lambda: None),
    0x88: _constant(lambda: True),
    0x89: _constant(lambda: False),
    ord("I"): _Machine.integer_line,
    ord("L"): _Machine.integer_line,
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.long(m.number("<B")),
    0x8B: lambda m: m.long(m.number("<i")),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("S"): _Machine.text_line,
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
    ord("a"): _Machine.append,
    ord("e"): _Machine.extend,
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    ord("l"): lambda m: m.push(m.pop_mark()),
    ord("d"): lambda m: m.push(_pairs(m.pop_mark())),
    ord("t"): lambda m: m.push(tuple(m.pop_mark())),
    0x85: lambda m: m.make_tuple(1),
    0x86: lambda m: m.make_tuple(2),
    0x87: lambda m: m.make_tuple(3),
    ord("p"): lambda m: m.put(int(m.line())),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m._memo)),
    ord("g"): lambda m: m.get(int(m.line())),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    ord("c"): _Machine.name,
    0x93: _Machine.stack_name,
    ord("R"): _Machine.call,
    ord("b"): _Machine.set_state,
}
_REFUSED = {
    ord("i"): "INST", ord("o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    ord("P"): "PERSID", ord("Q"): "BINPERSID", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER", 0x8F: "EMPTY_SET",
    0x90: "ADDITEMS", 0x91: "FROZENSET",
}  # fmt: skip
