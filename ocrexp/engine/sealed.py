"""The states file of a checkpoint: plain values and arrays with a checksum, safe to read whoever wrote it.

It is a pickle of numbers, strings, bytes, lists and dicts alone (arrays as dtype, shape and bytes) followed by its own
SHA-256. It is read by an unpickler that refuses everything else, so a file from a stranger cannot run code;
`pickle.load` reads it too.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.errors import CheckpointError

_SEAL = b"\nsha256:"
_ARRAY = "__array__"


def seal_states(states: dict[str, Any]) -> bytes:
    """The bytes of a states file. Raises TypeError for a value that is not plain."""
    payload = pickle.dumps(plain(states, "states"), protocol=4)
    return payload + _SEAL + hashlib.sha256(payload).hexdigest().encode()


def read_states(path: Path) -> dict[str, Any]:
    """A states file's content. Raises CheckpointError when its sum does not agree or it holds anything but values."""
    data = path.read_bytes()
    payload, seal, digest = data.rpartition(_SEAL)
    if not seal or hashlib.sha256(payload).hexdigest().encode() != digest:
        raise CheckpointError(f"{path.name} is cut short or altered (its sum does not agree)")
    try:
        states = _unplain(_PlainUnpickler(io.BytesIO(payload)).load())
    except Exception as error:  # the unpickler raises whatever a made-up file leads it to
        raise CheckpointError(f"{path.name}: {error}") from error
    if not isinstance(states, dict) or not {"files", "global_step", "serial"} <= states.keys():
        raise CheckpointError(f"{path.name} holds no states of a run")
    return states


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(
            f"refused to load {module_name}.{global_name}: a states file holds plain values only"
        )


def plain(value: Any, where: str) -> Any:
    """A value as numbers, strings, bytes, lists and dicts; `where` names it should it be none of them."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {_ARRAY: [value.dtype.str, list(value.shape), value.tobytes()]}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{where} is a {type(value).__name__}: a checkpoint's states hold plain values and arrays only")


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return [_unplain(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            dtype, shape, data = value[_ARRAY]
            return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()
        return {key: _unplain(item) for key, item in value.items()}
    return value
