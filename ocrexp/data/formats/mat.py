"""Reads MATLAB files with SciPy; objects and functions in them are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.safe_files import read_head
from ocrexp.errors import DataError


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file up to version 7. Objects and functions are refused."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatlabFunction, MatlabOpaque

    if read_head(path, 4).startswith(b"\x89HDF"):
        raise DataError(_newer(path))
    try:
        with path.open("rb") as file:
            found = loadmat(file)
    except NotImplementedError:
        raise DataError(_newer(path)) from None
    except MemoryError:
        raise DataError(f"{path}: does not fit into memory; split it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); copy it again") from None
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DataError(f"{path}: is not a MATLAB file ({' '.join(str(error).split())}); copy it again") from None
    for name, value in found.items():
        if isinstance(value, MatlabFunction | MatlabOpaque):
            raise DataError(f"{path}: {name} is an object of MATLAB and not read; save it as arrays and cells")
    return {name: value for name, value in found.items() if not name.startswith("__")}


def kept_mat(folder: Folder, name: str) -> dict[str, Any]:
    """The variables of a MATLAB file, kept for the second reading."""
    if name not in folder.kept:
        folder.kept[name] = read_mat(folder.base / name)
    found: dict[str, Any] = folder.kept[name]
    return found


def _newer(path: Path) -> str:
    return f"{path}: is a MATLAB file of version 7.3 (HDF5); save it in MATLAB with save(…, '-v7')"
