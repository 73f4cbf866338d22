"""A machine with a stack and a memo that the instructions of a pickle use; it knows only plain values and arrays."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from ocrexp.weights.pickle_names import CALLS, Array, Dtype, Name, NotPlain, array_of, key_of_dict, kind_shown, known

MAX_INSTRUCTIONS = 3_000_000
_NUMBER_BYTES = 16  # of a whole number


class _Mark:
    __slots__ = ()


MARK = _Mark()


class PickleMachine:
    """The stack, the memo and the bytes of one pickle."""

    def __init__(self, data: bytes) -> None:
        self._bytes = data
        self._data = memoryview(data)
        self._at = 0
        self._budget = 2 * len(data) + 65_536  # bytes that copies of the file's contents may take
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, table: Mapping[int, Step], refused: Mapping[int, str]) -> Any:
        """Follow the instructions to the end; returns what is on the stack then.

        Args:
            table: what each instruction does, by its code.
            refused: names of instructions that exist and are refused, by their code.
        """
        stack, data = self._stack, self._data
        if not len(data):
            raise NotPlain("it is empty")
        for _ in range(MAX_INSTRUCTIONS):
            code = data[self._at]
            self._at += 1
            if code == 0x2E:  # STOP
                if len(stack) != 1 or stack[0] is MARK:
                    raise NotPlain("it is corrupted")
                return stack[0]
            step = table.get(code)
            if step is None:
                raise NotPlain(
                    f"it contains the pickle instruction {refused[code]}, which weights do not need"
                    if code in refused
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
        if value is MARK:
            raise NotPlain("it is corrupted")
        return value

    def pop_mark(self) -> list[Any]:
        stack = self._stack
        for position in range(len(stack) - 1, -1, -1):
            if stack[position] is MARK:
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

    def put_next(self) -> None:
        self.put(len(self._memo))

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
        self.top(dict).update(pairs(items))

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


def pairs(items: list[Any]) -> dict[Any, Any]:
    """A dict of keys and values that follow each other."""
    if len(items) % 2:
        raise NotPlain("it is corrupted")
    return {key_of_dict(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


Step = Callable[[PickleMachine], None]
