"""The pages of an LMDB's `data.mdb`, read without the library: it trusts its file, and a damaged one kills the process.

Format: LMDB 0.9 (`mdb.c`), its only one on 64-bit little-endian machines. Each number of the file is checked before it
is used, pages are read and not mapped, and the work is bounded by the file's size. Only plain databases are read: no
named ones, no several values a key.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEAD = 16  # bytes of a page's header, and before a meta page's content
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_BIG = 1  # flag of a node whose value has pages of its own
_NOWHERE = 2**64 - 1
_MOST_LEVELS = 32
_PAGES_KEPT = 4096  # branch pages: with them an entry takes two or three reads

_page_head = struct.Struct("<QHHHH")  # number, pad, flags, lower and upper end of the free space
_node_head = struct.Struct("<HHHH")  # value's size or child page (low, high), flags or its highest part, key's size
_meta = struct.Struct("<IIQQ IHHQQQQQ IHHQQQQQ QQ")


class LmdbDamaged(ValueError):
    """The file is not an LMDB file, is truncated, or contradicts itself; the message states which, not the file's
    name."""


class LmdbFile:
    """An open database. Any number of threads, and processes after a fork, may read it.

    Args:
        path: of the file `data.mdb`.

    Raises LmdbDamaged here and whenever a damaged part is met, OSError where the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.size = os.fstat(self._file).st_size
            self._page_size, self.entries, self._root = self._newest_meta()
        except BaseException:
            os.close(self._file)
            raise
        self._pages = -(-self.size // self._page_size)
        self._branches: dict[int, tuple[list[bytes], list[int]]] = {}

    def close(self) -> None:
        """Nothing can be read afterwards."""
        os.close(self._file)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if the key does not exist."""
        number = self._root
        for _ in range(_MOST_LEVELS):
            if number == _NOWHERE:
                return None
            branch = self._branches.get(number)
            if branch is None:
                page, flags = self._page(number)
                if flags == _LEAF:
                    return self._in_leaf(page, key)
                branch = self._branch(number, page)
            number = branch[1][bisect_right(branch[0], key, lo=1) - 1]
        raise LmdbDamaged("its tree has no end")

    def items(self, start: bytes = b"", *, values: bool = True) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` on in their order, with their values, or with b"".

        Values are looked for in either case: LmdbDamaged is raised where one lies beyond the end of the file.
        """
        stack: list[Iterator[int]] = [iter(() if self._root == _NOWHERE else (self._root,))]
        last: bytes | None = None
        visited = 0
        while stack:
            number = next(stack[-1], None)
            if number is None:
                stack.pop()
                continue
            visited += 1
            if visited > self._pages or len(stack) > _MOST_LEVELS:
                raise LmdbDamaged("its tree has no end")
            page, flags = self._page(number)
            if flags == _BRANCH:
                keys, children = self._branch(number, page)
                first = bisect_right(keys, start, lo=1) - 1 if last is None else 0
                stack.append(iter(children[first:]))
                continue
            for at in self._nodes(page):
                key, value_at = self._key(page, at)
                if last is not None and key <= last:
                    raise LmdbDamaged("its keys are not in order")
                if last is None and key < start:
                    continue
                last = key
                yield key, self._value(page, at, value_at, read=values)

    # Pages.

    def _newest_meta(self) -> tuple[int, int, int]:
        """Page size, entries and root page, by the newer one of the two first pages."""
        found = []
        sizes = [4096]
        for page_size in sizes:
            for number in (0, 1):
                content = os.pread(self._file, _meta.size, number * page_size + _HEAD)
                if len(content) < _meta.size:
                    continue
                values = _meta.unpack(content)
                if values[:2] == (_MAGIC, _VERSION):
                    found.append(values)
                    if number == 0 and values[4] != page_size and len(sizes) == 1 and 256 <= values[4] <= 1 << 16:
                        sizes.append(values[4])
                        break
        if not found:
            raise LmdbDamaged("is not an LMDB file")
        newest = max(found, key=lambda values: values[-1])
        page_size, flags, depth, entries, root = (newest[index] for index in (4, 13, 14, 18, 19))
        if not 256 <= page_size <= 1 << 16 or page_size & (page_size - 1) or depth > _MOST_LEVELS:
            raise LmdbDamaged("its first pages are damaged")
        if flags:
            raise LmdbDamaged("contains several values for a key, or keys in another order")
        return page_size, entries, root

    def _read(self, size: int, at: int) -> bytes:
        if at + size > self.size:
            raise LmdbDamaged(f"is truncated: it has {self.size} bytes and refers to byte {at + size}")
        content = os.pread(self._file, size, at)
        if len(content) < size:
            raise LmdbDamaged("became shorter while it was read")
        return content

    def _page(self, number: int) -> tuple[bytes, int]:
        """A page of the tree, and its kind."""
        page = self._read(self._page_size, number * self._page_size)
        stated, _, flags, lower, upper = _page_head.unpack_from(page)
        kind = flags & ~0x10  # that it is not written yet: of no meaning in a file
        if stated != number or kind not in (_BRANCH, _LEAF) or not _HEAD <= lower <= upper <= self._page_size:
            raise LmdbDamaged(f"its page {number} is damaged")
        return page, kind

    def _nodes(self, page: bytes) -> tuple[int, ...]:
        """Where the nodes of a page begin."""
        count = (_page_head.unpack_from(page)[3] - _HEAD) // 2
        places = struct.unpack_from(f"<{count}H", page, _HEAD)
        if places and max(places) > len(page) - _node_head.size:
            raise LmdbDamaged("one of its pages is damaged")
        return places

    def _branch(self, number: int, page: bytes) -> tuple[list[bytes], list[int]]:
        """The first key below each child (that of the first one does not count), and the children."""
        keys, children = [], []
        for at in self._nodes(page):
            low, high, highest, _ = _node_head.unpack_from(page, at)
            keys.append(self._key(page, at)[0])
            children.append(low | high << 16 | highest << 32)
        if not children:
            raise LmdbDamaged(f"its page {number} is damaged")
        if len(self._branches) < _PAGES_KEPT:
            self._branches[number] = keys, children
        return keys, children

    def _in_leaf(self, page: bytes, key: bytes) -> bytes | None:
        nodes = self._nodes(page)
        index = bisect_left(nodes, key, key=lambda at: self._key(page, at)[0])
        if index == len(nodes):
            return None
        found, value_at = self._key(page, nodes[index])
        return self._value(page, nodes[index], value_at, read=True) if found == key else None

    def _key(self, page: bytes, at: int) -> tuple[bytes, int]:
        """A node's key, and where its value begins."""
        start = at + _node_head.size
        end = start + _node_head.unpack_from(page, at)[3]
        if end > len(page):
            raise LmdbDamaged("one of its pages is damaged")
        return page[start:end], end

    def _value(self, page: bytes, at: int, start: int, *, read: bool) -> bytes:
        low, high, flags, _ = _node_head.unpack_from(page, at)
        size = low | high << 16
        if flags & ~_BIG:
            raise LmdbDamaged("contains several values for a key, or named databases")
        if not flags:
            if start + size > len(page):
                raise LmdbDamaged("one of its pages is damaged")
            return page[start : start + size] if read else b""
        if start + 8 > len(page):
            raise LmdbDamaged("one of its pages is damaged")
        number = int.from_bytes(page[start : start + 8], "little")
        place = number * self._page_size
        if not read:
            self._read(1, place + _HEAD + max(size, 1) - 1)
            return b""
        content = self._read(_HEAD + size, place)
        stated, _, kind, _, _ = _page_head.unpack_from(content)
        if stated != number or kind & ~0x10 != _OVERFLOW:
            raise LmdbDamaged(f"its page {number} is damaged")
        return content[_HEAD:]
