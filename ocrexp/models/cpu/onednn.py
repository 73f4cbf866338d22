"""The oneDNN library that paddle's wheel carries, through its C interface.

This binds just what convolutions and their gradients (onednn_convolution.py) need of oneDNN 3
(https://uxlfoundation.github.io/oneDNN; constants from its dnnl_types.h). `library()` is None if paddle carries none
(not x86-64 Linux); callers then use paddle's operators.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import paddle

_log = logging.getLogger(__name__)

_CPU = 1
_DEFAULT_STREAM = 1
_FLOAT32 = 3
_ANY_LAYOUT = 1
_USER_SCRATCHPAD = 1
_DIMS = ctypes.c_int64 * 12
# Queries for memory descriptors, and the matching execution arguments.
_QUERY = {"src": 129, "diff_src": 130, "weights": 131, "diff_weights": 132, "dst": 133, "diff_dst": 134}
_QUERY["scratchpad"] = 136
_ARG = {"src": 1, "dst": 17, "weights": 33, "scratchpad": 80, "diff_src": 129, "diff_dst": 145, "diff_weights": 161}

Shape = tuple[int, ...]


class _Version(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("patch", ctypes.c_int),
        ("hash", ctypes.c_char_p),
        ("cpu_runtime", ctypes.c_uint),
        ("gpu_runtime", ctypes.c_uint),
    )


class _Argument(ctypes.Structure):
    _fields_ = (("index", ctypes.c_int), ("memory", ctypes.c_void_p))


class OneDNNError(RuntimeError):
    """oneDNN refused a call; the operator has no such kernel here."""


class Handle:
    """An object of the library, destroyed with this one; passes as its pointer."""

    def __init__(self, library: Library, kind: str, pointer: ctypes.c_void_p) -> None:
        self._library = library
        self._kind = kind
        self._as_parameter_ = pointer

    def __del__(self) -> None:
        self._library.destroy(self._kind, self._as_parameter_)


class Library:
    """The loaded library with one engine and one stream."""

    def __init__(self, path: Path) -> None:
        self._c = ctypes.CDLL(str(path))
        self._c.dnnl_version.restype = ctypes.POINTER(_Version)
        self._c.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
        self._c.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        version = self._c.dnnl_version().contents
        if version.major != 3:
            raise OneDNNError(f"version {version.major}.{version.minor}, expected 3")
        self.engine = self.create("engine", "engine_create", _CPU, ctypes.c_size_t(0))
        self.stream = self.create("stream", "stream_create", self.engine, _DEFAULT_STREAM)
        # Left to the library, scratch memory belongs to the thread that made the kernel: in another one it crashes.
        self.attributes = self.create("primitive_attr", "primitive_attr_create")
        self.call("primitive_attr_set_scratchpad_mode", self.attributes, _USER_SCRATCHPAD)
        self.lock = threading.Lock()

    def call(self, name: str, *args: Any) -> None:
        status = getattr(self._c, f"dnnl_{name}")(*args)
        if status:
            raise OneDNNError(f"{name}: status {status}")

    def create(self, kind: str, function: str, *args: Any) -> Handle:
        """Calls a function whose first argument receives the new object, one of `kind`."""
        pointer = ctypes.c_void_p()
        self.call(function, ctypes.byref(pointer), *args)
        return Handle(self, kind, pointer)

    def destroy(self, kind: str, pointer: ctypes.c_void_p) -> None:
        getattr(self._c, f"dnnl_{kind}_destroy")(pointer)

    def strided(self, shape: Shape, strides: Shape) -> Handle:
        """Descriptor of a float32 tensor whose strides, in values, are given."""
        return self.create(
            "memory_desc", "memory_desc_create_with_strides", len(shape), dims(shape), _FLOAT32, dims(strides)
        )

    def free_layout(self, shape: Shape) -> Handle:
        """Descriptor that lets oneDNN choose the layout."""
        return self.create("memory_desc", "memory_desc_create_with_tag", len(shape), dims(shape), _FLOAT32, _ANY_LAYOUT)

    def primitive(self, primitive_desc: Handle) -> Handle:
        return self.create("primitive", "primitive_create", primitive_desc)

    def convolution(self, direction: str, *args: Any) -> Handle:
        """Description of a convolution; `direction` is forward, backward_data or backward_weights."""
        return self.create(
            "primitive_desc", f"convolution_{direction}_primitive_desc_create", self.engine, *args, self.attributes
        )

    def reorder(self, source: Any, target: Any) -> Handle:
        """Description of a copy from one layout to another."""
        engine = self.engine
        return self.create(
            "primitive_desc", "reorder_primitive_desc_create", source, engine, target, engine, self.attributes
        )

    def queried(self, primitive_desc: Handle, what: str) -> ctypes.c_void_p:
        """Descriptor of one of its memories; it belongs to `primitive_desc`."""
        return ctypes.c_void_p(self._c.dnnl_primitive_desc_query_md(primitive_desc, _QUERY[what], 0))

    def execute(self, primitive: Handle, arguments: Mapping[str, Handle]) -> None:
        """Run a primitive on memories, by their names."""
        array = (_Argument * len(arguments))(
            *(_Argument(_ARG[name], value._as_parameter_) for name, value in arguments.items())
        )
        self.call("primitive_execute", primitive, self.stream, len(arguments), array)

    def size(self, desc: Any) -> int:
        return int(self._c.dnnl_memory_desc_get_size(desc))

    def equal(self, a: Any, b: Any) -> bool:
        return bool(self._c.dnnl_memory_desc_equal(a, b))


@functools.cache
def library() -> Library | None:
    """paddle's oneDNN, or None if it is missing or cannot be used."""
    path = Path(paddle.__file__).parent / "libs" / "libdnnl.so.3"
    if not path.is_file():
        return None
    try:
        return Library(path)
    except (OSError, AttributeError, OneDNNError) as error:
        _log.debug("oneDNN is not used: %s", error)
        return None


def dims(values: Sequence[int]) -> Any:
    """Numbers as the library takes sizes, strides and paddings."""
    return _DIMS(*values)
