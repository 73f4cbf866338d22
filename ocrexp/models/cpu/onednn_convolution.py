"""Convolutions by oneDNN, on paddle's tensors.

paddle 3 uses oneDNN in exported models only; its own convolution of dynamic graphs unfolds the whole image in memory
and multiplies matrices, at a fifth of oneDNN's speed.
"""

from __future__ import annotations

import ctypes
import functools
import math
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import Tensor

from ocrexp.models.cpu.onednn import Handle, Library, Shape, dims

_FORWARD_TRAINING = 64
_DIRECT = 1


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
        self._lib.execute(self._primitive, arguments)


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
        self._geometry = (dims(stride), dims((0, 0)), dims(before), dims(after))
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


def _buffer(slot: _Slot) -> Tensor:
    return paddle.empty([slot.values], dtype="float32")
