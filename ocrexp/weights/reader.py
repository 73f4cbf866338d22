"""The one reader of `.pdparams`, `.pdopt` and `.pdstates` files. It never unpickles; see pickles.py.

Such a file comes from `paddle.save` (2.x, 3.x), from PaddleOCR, or from a run. Nothing that it contains is executed,
whoever wrote it, and its memory is bounded by its size.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.pickles import NotPlain, read_pickle

Arrays = dict[str, npt.NDArray[Any]]

# paddle's entries beside the values: the parameters' own names, and those that protocols 2 and 3 have to split.
_NAMES = "StructuredToParameterName@@"
_SPLIT = "UnpackBigParamInfor@@"
# Names of layers that PaddleOCR 3.x spells in another way (SEED, SRN); its published weights are of earlier releases.
_EARLIER = {"head.embeder.": "head.embedder.", ".encoder.processer.": ".encoder.processor."}


def read_parameters(path: str | os.PathLike[str]) -> Arrays:
    """The arrays of a `.pdparams` file by name; bfloat16 as float32, other entries ignored. Names of PaddleOCR's
    earlier releases become those of 3.x.

    Raises CheckpointError: cannot be read, damaged, not plain values, or without any array.
    """
    file = Path(path)
    arrays: Arrays = {}
    for name, value in _read_dict(file, "weights").items():
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if isinstance(name, str) and isinstance(array, np.ndarray):
            arrays[_current(name)] = _from_bfloat16(array)
    if not arrays:
        raise CheckpointError(f"{file}: contains no arrays; give a .pdparams file")
    return arrays


def read_optimizer(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a `.pdopt` file: arrays by name, and dicts of arrays or numbers (`master_weights`).

    paddle's pairs of a name and an array become the array. Raises CheckpointError as `read_parameters`.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], np.ndarray)
        return value[1] if pair else value

    return {str(key): plain(value) for key, value in _read_dict(Path(path), "an optimizer's state").items()}


def read_parameter_names(path: str | os.PathLike[str]) -> dict[str, str]:
    """Name in the model → paddle's own name when it was saved, of a `.pdparams` file; empty if the file states none."""
    names = _read(Path(path), "weights").get(_NAMES)
    if not isinstance(names, dict):
        return {}
    return {_current(name): own for name, own in names.items() if isinstance(name, str) and isinstance(own, str)}


def read_plain(path: Path, what: str) -> dict[Any, Any]:
    """A file's dict of plain values and arrays, such as PaddleOCR's `.states`; `what` names it in messages.

    Raises CheckpointError as `read_parameters`.
    """
    return _read_dict(path, what)


def read_content(path: Path) -> bytes:
    """A whole file. Raises CheckpointError if it is not a regular file, larger than the memory, or cannot be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path}: is not a regular file; give a file of weights")
        if status.st_size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
            raise CheckpointError(f"{path}: has {status.st_size} bytes, more than this machine's memory")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except MemoryError:
        raise CheckpointError(f"{path}: does not fit into this machine's memory") from None


def first_nonfinite(arrays: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """`NAME is not finite (NaN or infinity in 3 of 64 values)` for the first such array; None if all are finite."""
    for name, value in arrays.items():
        if value.dtype.kind in "fc" and not (finite := np.isfinite(value)).all():
            bad = int(value.size - np.count_nonzero(finite))
            return f"{printable(name)} is not finite (NaN or infinity in {bad} of {value.size} values)"
    return None


def _current(name: str) -> str:
    for earlier, current in _EARLIER.items():
        name = name.replace(earlier, current)
    return name


def _read_dict(file: Path, what: str) -> dict[Any, Any]:
    content = _read(file, what)
    content.pop(_NAMES, None)
    return content


def _read(file: Path, what: str) -> dict[Any, Any]:
    try:
        content = read_pickle(read_content(file))
        if not isinstance(content, dict):
            raise NotPlain(f"it contains a {type(content).__name__}, expected a dict of {what}")
        return _joined(content)
    except NotPlain as error:
        reason = printable(str(error))
        advice = "" if "; " in reason else "; download it or save it again"
        raise CheckpointError(f"{file}: not a file of {what}, or damaged ({reason}){advice}") from None


def _joined(content: dict[Any, Any]) -> dict[Any, Any]:
    """Puts the arrays together that paddle has split to keep within an old pickle protocol's limit."""
    split = content.pop(_SPLIT, None)
    if split is None:
        return content
    try:
        for name, entry in split.items():
            parts = [content.pop(str(part)) for part in entry["slices"]]  # popped: none counts twice
            content[name] = np.concatenate(parts).reshape(entry["OriginShape"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotPlain(f"its split arrays do not fit together ({type(error).__name__})") from None
    return content


def _from_bfloat16(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """NumPy has no bfloat16: paddle stores its bits as uint16."""
    if array.dtype != np.uint16:
        return array
    return (array.astype(np.uint32) << 16).view(np.float32)
