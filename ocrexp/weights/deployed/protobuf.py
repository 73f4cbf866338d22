"""Reading protocol buffers field by field (protobuf.dev/programming-guides/encoding): no schema, nothing executed."""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class NotReadable(Exception):
    """The content is not a message, or is truncated."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an integer, or the bytes of a text, a submessage, packed or fixed numbers.

    Raises NotReadable.
    """
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise NotReadable("a field has no number")
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            size, position = _varint(message, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise NotReadable(f"a field has the unknown type {wire}")
        if position + size > end:
            raise NotReadable("the content is cut off")
        yield number, message[position : position + size]
        position += size


def all_of(message: memoryview, number: int) -> list[Value]:
    """The values of one field, in their order."""
    return [value for found, value in fields(message) if found == number]


def messages(message: memoryview, number: int) -> list[memoryview]:
    """The submessages of one field, in their order. Raises NotReadable if one is a number."""
    found = []
    for value in all_of(message, number):
        if isinstance(value, int):
            raise NotReadable(f"field {number} is a number, expected a message")
        found.append(value)
    return found


def integer(message: memoryview, number: int, default: int = 0) -> int:
    """The last value of a field of integers, as protocol buffers have it."""
    found = [value for value in all_of(message, number) if isinstance(value, int)]
    return found[-1] if found else default


def integers(message: memoryview, number: int) -> list[int]:
    """A field of repeated signed integers, packed or not."""
    found: list[int] = []
    for value in all_of(message, number):
        if isinstance(value, int):
            found.append(_signed(value))
            continue
        position = 0
        while position < len(value):
            one, position = _varint(value, position)
            found.append(_signed(one))
    return found


def text(message: memoryview, number: int) -> str:
    """A field of text; empty if there is none. Undecodable bytes are replaced."""
    found = messages(message, number)
    return bytes(found[-1]).decode("utf-8", "replace") if found else ""


def texts(message: memoryview, number: int) -> list[str]:
    """A field of repeated texts."""
    return [bytes(value).decode("utf-8", "replace") for value in messages(message, number)]


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            break
    raise NotReadable("a number has no end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
