"""The members of a tar file from its headers alone, for files that nobody vouches for.

Formats: ustar, GNU (long names, sizes in base 256) and pax (path, size), POSIX.1-2001 and GNU tar's manual. Nothing is
extracted: a member is a name, an offset and a size, and what it names is never opened or written. Each number is
checked before it is used, and a header's own data is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Read = Callable[[int, int], bytes]  # offset, number of bytes -> bytes, fewer at the end of the file

_BLOCK = 512
_MOST_NAME = 1 << 16  # bytes of a long name, or of a pax header
_ZEROS = bytes(_BLOCK)
_FILES = b"0\x007"  # regular ones; "7" is a contiguous file
_MOST_SIZE = 1 << 62


class TarDamaged(ValueError):
    """The file is not a tar file, is truncated, or contradicts itself: what is wrong, and the byte where."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.offset = offset


class TarMember(NamedTuple):
    """A member: its name, where its data is, and what it is: "file", "folder" or "other" (links, devices)."""

    name: str
    offset: int
    size: int
    kind: str


def members(read: Read, length: int) -> Iterator[TarMember]:
    """The members of a tar file of `length` bytes, in their order.

    Raises TarDamaged where it ends too early or a header is no header; the members before it have been given.
    """
    offset = 0
    own_name: str | None = None
    own_size: int | None = None
    while True:
        header = read(offset, _BLOCK)
        if not header and offset:
            raise TarDamaged("is truncated: it has no end mark", min(offset, length))
        if header == _ZEROS:
            return
        if len(header) < _BLOCK:
            raise TarDamaged("is truncated in a header" if offset else "is not a tar file", offset)
        if not _is_sound(header):
            raise TarDamaged("is damaged: this is not a header" if offset else "is not a tar file", offset)
        kind = header[156:157]
        size = _number(header[124:136], offset)
        start = offset + _BLOCK
        if kind in b"LKxg":
            if kind in b"Lx" and size > _MOST_NAME:
                raise TarDamaged(f"is damaged: a name of {size} bytes", offset)
            following = start + _padded(size)
            if following > length:
                raise TarDamaged("is truncated in a header", offset)
            if kind == b"L":
                own_name = _text(read(start, size).partition(b"\0")[0])
            elif kind == b"x":
                own_name, own_size = _pax(read(start, size), own_name, own_size)
            offset = following
            continue
        name = own_name if own_name is not None else _name(header)
        size = size if own_size is None else own_size
        own_name = own_size = None
        is_file = kind in _FILES
        data = size if is_file or kind not in b"123456" else 0  # links, devices and folders have none
        if start + data > length:
            raise TarDamaged(f"is truncated in {name!r}, which has {data} bytes", start)
        folder = kind == b"5" or (kind == b"\0" and name.endswith("/"))
        yield TarMember(name, start, data, "folder" if folder else "file" if is_file else "other")
        offset = start + _padded(data)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _is_sound(header: bytes) -> bool:
    """Whether a header's checksum is that of its bytes."""
    stated = header[148:156].strip(b" \0")
    try:
        return int(stated, 8) == sum(header[:148]) + sum(header[156:]) + 8 * 32
    except ValueError:
        return False


def _number(field: bytes, offset: int) -> int:
    """An octal number, or GNU's base 256. Raises TarDamaged."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] != 0x80 or value > _MOST_SIZE:
            raise TarDamaged("is damaged: a size that no file has", offset)
        return value
    digits = field.strip(b" \0")
    if digits and not digits.isdigit():
        raise TarDamaged("is damaged: a size that is not a number", offset)
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise TarDamaged("is damaged: a size that is not a number", offset) from None


def _name(header: bytes) -> str:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _pax(data: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Name and size of a pax header's records, `LENGTH KEY=VALUE\\n` each; others are ignored."""
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or not 0 < int(length[:9]) <= len(data):
            break
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        data = data[int(length) :]
        if key == b"path":
            name = _text(value)
        elif key == b"size" and value.isdigit() and len(value) < 19:
            size = int(value)
    return name, size
