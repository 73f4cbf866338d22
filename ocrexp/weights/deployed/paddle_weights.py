"""The weights of a Paddle inference model: `.pdiparams`, tensors one behind the other without their names.

The layout is that of paddle's `SerializeToStream` (paddle/fluid/framework/lod_tensor.cc, tensor_util.cc).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.deployed.items import Array
from ocrexp.weights.deployed.protobuf import NotReadable, integer, integers
from ocrexp.weights.reader import read_content

# paddle's VarType: names of the types other than float32.
_FLOAT32 = 5
_TYPES = {0: ("bool", 1), 1: ("int16", 2), 2: ("int32", 4), 3: ("int64", 8), 4: ("float16", 2), 5: ("float32", 4),
          6: ("float64", 8), 20: ("uint8", 1), 21: ("int8", 1), 22: ("bfloat16", 2)}  # fmt: skip
_LONGEST_DESCRIPTION = 4096  # bytes


def read_weights(path: Path, shapes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """The float32 arrays by name; those of other types, which no layer has, are skipped.

    Args:
        path: the file.
        shapes: of the program's weights, by name. The file has them in the order of their names.

    Raises CheckpointError: cannot be read, of another program, damaged, or half-precision or quantized.
    """
    content = memoryview(read_content(path))
    arrays: dict[str, Array] = {}
    position = 0
    try:
        for name in sorted(shapes):
            kind, shape, start, end = _next_tensor(content, position)
            expected = tuple(shapes[name])
            if kind == _FLOAT32 and shape != expected:
                raise CheckpointError(
                    f"{path}: {printable(name)} has the shape {list(shape)}, the program says {list(expected)}; give "
                    "the program and the .pdiparams of one export"
                )
            label = _TYPES[kind][0]
            if label in ("float16", "bfloat16"):
                raise CheckpointError(f"{path}: {printable(name)} is half-precision ({label}); give the float32 files")
            if label in ("int8", "uint8") and len(shape) > 1:  # an LSTM's dropout keeps its state in bytes
                raise CheckpointError(f"{path}: {printable(name)} is quantized ({label}); give the float32 files")
            if kind == _FLOAT32:
                arrays[name] = np.frombuffer(content[start:end], "<f4").reshape(shape)
            position = end
    except (NotReadable, struct.error) as error:
        raise CheckpointError(f"{path}: is damaged or cut off: {error}; fetch it or export it again") from None
    if position != len(content):
        raise CheckpointError(
            f"{path}: has {len(content) - position} bytes more than the program has weights; give the program and the "
            ".pdiparams of one export"
        )
    return arrays


def _next_tensor(content: memoryview, position: int) -> tuple[int, tuple[int, ...], int, int]:
    """Type and shape of the tensor at a position, and where its values begin and end."""
    version, levels = struct.unpack_from("<IQ", content, position)
    position += 12
    if version != 0 or levels > 8:
        raise NotReadable(f"no tensor begins at byte {position - 12}")
    for _ in range(levels):
        (size,) = struct.unpack_from("<Q", content, position)
        position += 8 + size
    version, length = struct.unpack_from("<Ii", content, position)
    position += 8
    if version != 0 or not 0 < length <= _LONGEST_DESCRIPTION or position + length > len(content):
        raise NotReadable(f"no tensor begins at byte {position - 8}")
    description = content[position : position + length]
    position += length
    kind, shape = integer(description, 1, -1), tuple(integers(description, 2))
    if kind not in _TYPES or any(size < 0 for size in shape):
        raise NotReadable(f"the tensor at byte {position} has the type {kind} and the shape {list(shape)}")
    end = position + _TYPES[kind][1] * int(np.prod(shape, dtype=object))
    if end > len(content):
        raise NotReadable(f"the tensor at byte {position} needs bytes up to {end}, the file has {len(content)}")
    return kind, shape, position, end
