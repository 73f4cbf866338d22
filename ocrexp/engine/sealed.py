"""The states file of a checkpoint: plain values and arrays with a checksum, safe to read whoever wrote it.

It is a pickle of numbers, strings, bytes, lists and dicts alone (arrays as dtype, shape and bytes) followed by its own
SHA-256. It is read without unpickling (see `ocrexp.weights.pickles`), so a file from a stranger cannot run code;
`pickle.load` reads it too.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.pickles import NotPlain, read_pickle
from ocrexp.weights.reader import read_content

_SEAL = b"\nsha256:"
_ARRAY = "__array__"


def seal_states(states: dict[str, Any]) -> bytes:
    """The bytes of a states file. Raises TypeError for a value that is not plain."""
    payload = pickle.dumps(plain(states, "states"), protocol=4)
    return payload + _SEAL + hashlib.sha256(payload).hexdigest().encode()


def read_states(path: Path) -> dict[str, Any]:
    """A states file's content. Raises CheckpointError when its checksum differs or it contains anything other than
    values."""
    payload, seal, digest = read_content(path).rpartition(_SEAL)
    if not seal or hashlib.sha256(payload).hexdigest().encode() != digest:
        raise CheckpointError(f"{path.name} is truncated or corrupted (checksum mismatch)")
    try:
        states = _Unplain(len(payload)).value(read_pickle(payload))
    except (NotPlain, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.name}: {printable(str(error))}") from None
    if not isinstance(states, dict) or not _of_a_run(states):
        raise CheckpointError(f"{path.name} contains no states of a run")
    return states


def _of_a_run(states: dict[str, Any]) -> bool:
    """Whether the entries are there that every reader of a set relies on, and what they may rely on besides."""
    files, extras = states.get("files"), states.get("extras", {})
    return (
        isinstance(extras, dict)
        and _of_a_charset(extras.get("charset"))
        and isinstance(states.get("best_model_dict") or {}, dict)
        and type(states.get("global_step")) is int
        and type(states.get("serial")) is int
        and isinstance(files, dict)
        and all(
            isinstance(entry, dict) and type(entry.get("sha256")) is str and type(entry.get("bytes")) is int
            for entry in (files.get("pdparams"), files.get("pdopt"))
        )
    )


def _of_a_charset(saved: Any) -> bool:
    """Whether it is what `Charset.saved` gives, or None."""
    return saved is None or (
        isinstance(saved, dict)
        and isinstance(saved.get("characters"), list)
        and all(isinstance(character, str) for character in saved["characters"])
        and isinstance(saved.get("fingerprint"), str)
        and isinstance(saved.get("lower"), bool)
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
    raise TypeError(f"{where}: expected a plain value or an array, got {type(value).__name__}")


class _Unplain:
    """Puts arrays back in their places; together they take no more bytes than the file has."""

    def __init__(self, size: int) -> None:
        self._left = size

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            if value.keys() == {_ARRAY}:
                dtype, shape, data = value[_ARRAY]
                self._left -= len(data)
                if self._left < 0:
                    raise ValueError("it repeats its contents until they exceed its size")
                return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()
            return {key: self.value(item) for key, item in value.items()}
        return value
