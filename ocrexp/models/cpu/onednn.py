"""Convolutions by oneDNN, through the C interface of the library that paddle's wheel carries.

paddle 3 uses oneDNN in exported models only; its own convolution of dynamic graphs unfolds the whole image in memory
and multiplies matrices, at a fifth of oneDNN's speed. This binds just what a convolution and its gradients need of
oneDNN 3 (https://uxlfoundation.github.io/oneDNN; constants from its dnnl_types.h). `library()` is None if paddle
carries none (not x86-64 Linux); callers then use paddle's operators.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor

_log = logging.getLogger(__name__)

_CPU = 1
_DEFAULT_STREAM = 1
_FLOAT32 = 3
_ANY_LAYOUT = 1
_FORWARD_TRAINING = 64
_DIRECT = 1
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
            "memory_desc", "memory_desc_create_with_strides", len(shape), _dims(shape), _FLOAT32, _dims(strides)
        )

    def free_layout(self, shape: Shape) -> Handle:
        """Descriptor that lets oneDNN choose the layout."""
        return self.create(
            "memory_desc", "memory_desc_create_with_tag", len(shape), _dims(shape), _FLOAT32, _ANY_LAYOUT
        )

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


@dataclass(frozen=True, slots=True)
class View:
    """Where the values of a tensor lie inside a contiguous one of shape `whole`, counted in values."""

    shape: Shape
    strides: Shape
    offset: int
    whole: Shape

    @classmethod
    def of_all(cls, shape: Shape) -> View:
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return cls(shape, strides, 0, shape)

    @classmethod
    def of_parity(cls, shape: Shape, row: int, column: int) -> View:
        """Every second row and column of a map of twice the height and width, from `row` and `column` (0 or 1) on."""
        n, c, h, w = shape
        return cls(shape, (4 * c * h * w, 4 * h * w, 4 * w, 2), 2 * w * row + column, (n, c, 2 * h, 2 * w))


class _Slot:
    """A memory object whose data pointer changes from call to call."""

    def __init__(self, lib: Library, desc: Any, offset: int = 0) -> None:
        self._lib = lib
        self.desc = desc
        self._offset = 4 * offset
        self.values = -(-lib.size(desc) // 4)
        self.memory = lib.create("memory", "memory_create", desc, lib.engine, None)

    @classmethod
    def of(cls, lib: Library, view: View) -> _Slot:
        return cls(lib, lib.strided(view.shape, view.strides), view.offset)

    def point_to(self, tensor: Tensor) -> Handle:
        self._lib.call("memory_set_data_handle", self.memory, ctypes.c_void_p(tensor.data_ptr() + self._offset))
        return self.memory


class _Kernel:
    """A primitive and its scratch memory, which is allocated for each call."""

    def __init__(self, lib: Library, desc: Handle) -> None:
        self._lib = lib
        self._desc = desc  # owns the descriptor of the scratch memory
        self._primitive = lib.primitive(desc)
        self._scratch = _Slot(lib, lib.queried(desc, "scratchpad"))

    def __call__(self, arguments: dict[str, Handle]) -> None:
        scratch = _buffer(self._scratch) if self._scratch.values else None
        if scratch is not None:
            arguments = {**arguments, "scratchpad": self._scratch.point_to(scratch)}
        array = (_Argument * len(arguments))(
            *(_Argument(_ARG[name], value._as_parameter_) for name, value in arguments.items())
        )
        self._lib.call("primitive_execute", self._primitive, self._lib.stream, len(arguments), array)


class _Primitive:
    """A primitive that reads and writes views of paddle's tensors, with the changes of layout that it needs."""

    def __init__(self, lib: Library, desc: Handle, inputs: dict[str, View], output: tuple[str, View]) -> None:
        self._lib = lib
        self._desc = desc  # owns the descriptors of the inner memories
        self._kernel = _Kernel(lib, desc)
        self._output_name = output[0]
        self._output_shape = output[1].whole
        self._inner = {name: _Slot(lib, lib.queried(desc, name)) for name in [*inputs, self._output_name]}
        self._outer = {name: _Slot.of(lib, view) for name, view in [*inputs.items(), output]}
        self._to_inner = {name: self._reorder(self._outer[name], self._inner[name]) for name in inputs}
        self._from_inner = self._reorder(self._inner[self._output_name], self._outer[self._output_name])

    def _reorder(self, source: _Slot, target: _Slot) -> _Kernel | None:
        if self._lib.equal(source.desc, target.desc):
            return None
        return _Kernel(self._lib, self._lib.reorder(source.desc, target.desc))

    def __call__(self, tensors: dict[str, Tensor], result: Tensor | None = None) -> Tensor:
        """Contiguous float32 tensors by the names of the inputs; writes the output into `result` or a new tensor."""
        arguments: dict[str, Handle] = {}
        kept: list[Tensor] = []  # buffers must outlive the call
        for name, tensor in tensors.items():
            inner, reorder = self._inner[name], self._to_inner[name]
            if reorder is None:
                arguments[name] = inner.point_to(tensor)
                continue
            kept.append(_buffer(inner))
            arguments[name] = inner.point_to(kept[-1])
            reorder({"src": self._outer[name].point_to(tensor), "dst": arguments[name]})
        if result is None:
            result = paddle.empty(self._output_shape, dtype="float32")
        inner = self._inner[self._output_name]
        target = result if self._from_inner is None else _buffer(inner)
        arguments[self._output_name] = inner.point_to(target)
        self._kernel(arguments)
        if self._from_inner is not None:
            outer = self._outer[self._output_name].point_to(result)
            self._from_inner({"src": arguments[self._output_name], "dst": outer})
        return result


class Convolution:
    """One convolution without bias, for fixed shapes: forward, gradient of the input, gradient of the weights.

    Args:
        lib: from `library()`.
        x: shape [N, C, H, W] of the input.
        weight: shape [O, C / groups, kh, kw] of the weights.
        stride: of height and width.
        padding: of top and left, of bottom and right.
        groups: as in paddle.
        parity: (row, column), each 0 or 1: the output is every second row and column of a map twice as high and wide.

    Raises:
        OneDNNError: there is no kernel for it.
    """

    def __init__(
        self,
        lib: Library,
        x: Shape,
        weight: Shape,
        stride: tuple[int, int],
        padding: tuple[tuple[int, int], tuple[int, int]],
        groups: int = 1,
        parity: tuple[int, int] | None = None,
    ) -> None:
        self._lib = lib
        out, _, kh, kw = weight
        before, after = padding
        height = (x[2] + before[0] + after[0] - kh) // stride[0] + 1
        width = (x[3] + before[1] + after[1] - kw) // stride[1] + 1
        y = (x[0], out, height, width)
        grouped = weight if groups == 1 else (groups, out // groups, weight[1], kh, kw)
        self._weight_shape = weight
        self._x, self._weight = View.of_all(x), View.of_all(grouped)
        self._y = View.of_all(y) if parity is None else View.of_parity(y, *parity)
        self._geometry = (_dims(stride), _dims((0, 0)), _dims(before), _dims(after))
        self._free = tuple(lib.free_layout(shape) for shape in (x, grouped, y))
        src, weights, dst = self._free
        self._desc = lib.convolution("forward", _FORWARD_TRAINING, _DIRECT, src, weights, None, dst, *self._geometry)
        self._forward = _Primitive(lib, self._desc, {"src": self._x, "weights": self._weight}, ("dst", self._y))

    @functools.cached_property
    def _data(self) -> _Primitive:
        src, weights, dst = self._free
        desc = self._lib.convolution("backward_data", _DIRECT, src, weights, dst, *self._geometry, self._desc)
        return _Primitive(self._lib, desc, {"diff_dst": self._y, "weights": self._weight}, ("diff_src", self._x))

    @functools.cached_property
    def _weights(self) -> _Primitive:
        src, weights, dst = self._free
        desc = self._lib.convolution("backward_weights", _DIRECT, src, weights, None, dst, *self._geometry, self._desc)
        return _Primitive(self._lib, desc, {"src": self._x, "diff_dst": self._y}, ("diff_weights", self._weight))

    def forward(self, x: Tensor, weight: Tensor, result: Tensor | None = None) -> Tensor:
        """The output; with a parity, other rows and columns of `result` are left as they are."""
        with self._lib.lock:
            return self._forward({"src": x, "weights": weight}, result)

    def input_gradient(self, gradient: Tensor, weight: Tensor) -> Tensor:
        with self._lib.lock:
            return self._data({"diff_dst": gradient, "weights": weight})

    def weight_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        with self._lib.lock:
            return self._weights({"src": x, "diff_dst": gradient}).reshape(self._weight_shape)


def _dims(values: Sequence[int]) -> Any:
    return _DIMS(*values)


def _buffer(slot: _Slot) -> Tensor:
    return paddle.empty([slot.values], dtype="float32")
