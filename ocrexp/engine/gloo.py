"""How long gloo, which connects processes on a CPU, waits for another process.

gloo gives up after 30 seconds: a rank that is that much later than the others (rank 0 writing to a slow disk, a laptop
that slept) ends the run. paddle 3.3 has no setting for it, neither in Python nor in the environment. gloo itself has
one, `gloo::Context::setTimeout`, which paddle's library exports; a process group has two such contexts.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

_SET = "_ZN4gloo7Context10setTimeoutENSt6chrono8durationIlSt5ratioILl1ELl1000EEEE"
_GET = "_ZNK4gloo7Context10getTimeoutEv"
_VTABLE = "_ZTVN4gloo10rendezvous7ContextE"
_COMMUNICATOR = "_ZN6paddle11distributed16ProcessGroupGloo14GetCommContextEv"
_HELD = 128  # bytes of an object in which its context is looked for


def set_gloo_timeout(group: Any, milliseconds: int) -> int:
    """Let a process group of gloo wait that long; returns how many of its contexts have been set: 2, or 0 if none.

    `group` is paddle's `ProcessGroupGloo`. Its contexts are recognized by their class (the address of its virtual
    table); with a paddle in which they are not found nothing is changed.
    """
    import paddle
    from paddle.base import libpaddle

    try:
        core = ctypes.CDLL(str(Path(paddle.__file__).parent / "libs" / "libphi_core.so"))
        table = ctypes.addressof(ctypes.c_char.in_dll(core, _VTABLE)) + 2 * ctypes.sizeof(ctypes.c_void_p)
        set_timeout, get_timeout = core[_SET], core[_GET]
        communicator = ctypes.CDLL(libpaddle.__file__)[_COMMUNICATOR]
        memory = Path("/proc/self/mem").open("rb", buffering=0)  # noqa: SIM115 - closed below
    except (OSError, ValueError, AttributeError):  # another build of paddle, or no Linux
        return 0
    set_timeout.argtypes, set_timeout.restype = [ctypes.c_void_p, ctypes.c_int64], None
    get_timeout.argtypes, get_timeout.restype = [ctypes.c_void_p], ctypes.c_int64
    communicator.argtypes, communicator.restype = [ctypes.c_void_p], ctypes.c_void_p

    def word(address: int) -> int:
        """Eight bytes of this process's memory; read through a file, a wrong address is an error and no crash."""
        try:
            memory.seek(address)
            return int.from_bytes(memory.read(8), "little")
        except (OSError, ValueError, OverflowError):
            return 0

    def contexts(held_by: int) -> set[int]:
        found = {word(held_by + offset) for offset in range(0, _HELD, 8)}
        return {address for address in found if address % 8 == 0 and word(address) == table}

    with memory:
        ours = word(id(group) + object.__basicsize__)  # what a pybind11 object holds behind Python's own header
        places = contexts(ours)
        if places:  # then it is the object that it should be, and may be asked
            places |= contexts(communicator(ours))
        done = 0
        for place in places:
            if 0 < get_timeout(place) <= 1 << 40:
                set_timeout(place, milliseconds)
                done += get_timeout(place) == milliseconds
    return done
