"""Batches in anonymous shared memory: written by a worker, read in place by the parent.

The memory is mapped before the fork, so it has no name in /dev/shm, needs no room there, and is gone with the last
process that maps it, however that ends. Arrays travel as out-of-band buffers of pickle protocol 5.
"""

from __future__ import annotations

import mmap
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64
# Reserves addresses only; pages count once they are written. Not in the mmap module before Python 3.13.
_MAP_NORESERVE = 0x4000
Span = tuple[int, int]  # offset in the slot, bytes


class SharedSlots:
    """`count` slots of `slot_bytes` each, to be made before the workers are forked."""

    def __init__(self, count: int, slot_bytes: int) -> None:
        self.count = count
        self.slot_bytes = -(-slot_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        self._bytes = np.frombuffer(mmap.mmap(-1, count * self.slot_bytes, flags=flags), np.uint8)

    def _slot(self, slot: int) -> npt.NDArray[np.uint8]:
        return self._bytes[slot * self.slot_bytes : (slot + 1) * self.slot_bytes]

    def writer(self, slot: int | None) -> SlotWriter:
        """For one batch, in a worker; without a slot everything goes through the pipe."""
        return SlotWriter(self._bytes[:0] if slot is None else self._slot(slot))

    def read(self, slot: int | None, payload: bytes, spans: list[Span], release: Callable[[int], object]) -> Any:
        """The batch of a writer's `dump`; its arrays lie in the slot.

        `release(slot)` runs when the last of them is gone.
        """
        if slot is None:
            return pickle.loads(payload)
        lease = self._slot(slot)
        weakref.finalize(lease, release, slot).atexit = False
        memory = lease.data  # keeps the lease alive, and every array keeps its piece of this
        return pickle.loads(payload, buffers=[memory[offset : offset + size] for offset, size in spans])


class SlotWriter:
    """Allocates arrays one after the other in a slot, and pickles a batch around those that lie there.

    `overflowed`: there is a slot, and something did not fit.
    """

    def __init__(self, memory: npt.NDArray[np.uint8]) -> None:
        self._memory = memory
        self._start: int = memory.__array_interface__["data"][0]
        self._used = 0
        self.overflowed = False

    def _reserve(self, size: int) -> int | None:
        offset = -(-self._used // _ALIGNMENT) * _ALIGNMENT
        if size == 0:
            return None
        if offset + size > len(self._memory):
            self.overflowed = len(self._memory) > 0
            return None
        self._used = offset + size
        return offset

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An uninitialized array in the slot, or an ordinary one where the slot is full."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        offset = self._reserve(size)
        if offset is None:
            return np.empty(shape, dtype)
        return self._memory[offset : offset + size].view(dtype).reshape(shape)

    def dump(self, batch: Any) -> tuple[bytes, list[Span]]:
        """Pickle a batch; arrays that are not in the slot yet are copied there while there is room."""
        spans: list[Span] = []

        def place(buffer: pickle.PickleBuffer) -> bool:
            """Pickle asks whether a buffer stays inside the stream."""
            raw = buffer.raw()
            if raw.nbytes == 0:
                return True
            source = np.frombuffer(raw, np.uint8)
            offset: int | None = source.__array_interface__["data"][0] - self._start
            if offset is None or not 0 <= offset < len(self._memory):
                offset = self._reserve(raw.nbytes)
                if offset is None:
                    return True
                self._memory[offset : offset + raw.nbytes] = source
            spans.append((offset, raw.nbytes))
            return False

        return pickle.dumps(batch, protocol=5, buffer_callback=place), spans


def array_bytes(batch: Any) -> int:
    """Bytes of the arrays in a batch, each on its own alignment."""
    total = 0

    def count(buffer: pickle.PickleBuffer) -> bool:
        nonlocal total
        total += -(-buffer.raw().nbytes // _ALIGNMENT) * _ALIGNMENT
        return False

    pickle.dumps(batch, protocol=5, buffer_callback=count)
    return total
