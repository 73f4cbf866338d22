"""Checks of the settings that the drawn datasets have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ocrexp.nearest import did_you_mean, expected_one_of


def require(fine: bool, key: str, value: object, allowed: str) -> None:
    """Raise ValueError, naming the option, its value and what is allowed, unless `fine`."""
    if not fine:
        raise ValueError(f"{key}: expected {allowed}, got {value}")


def require_one_of(key: str, value: object, names: Iterable[str]) -> None:
    """Raise ValueError, with the nearest name, for a value that is not among the names."""
    known = list(names)
    if value not in known:
        raise ValueError(f"{key}: {expected_one_of(value, known)}")


def existing_folder(key: str, value: str) -> Path:
    """The folder. Raises ValueError if it does not exist."""
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ValueError(f"{key}={value}: folder not found; give an existing folder")
    return path


def checked_weights(key: str, given: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Weights by name. Raises ValueError for a name that is not among `names`, for negative ones and all zeros."""
    weights = {str(name): float(value) for name, value in given.items()}
    known = list(names)
    for name in weights:
        if name not in known:
            raise ValueError(f"{key}: expected weights of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    fine = sum(weights.values()) > 0 and min(weights.values()) >= 0
    require(fine, key, weights, "weights of 0 or more, one above 0")
    return weights


def size_range(key: str, given: Iterable[int], least: int) -> tuple[int, int]:
    """[smallest, largest] as a tuple. Raises ValueError unless there are two in their order, `least` or more."""
    sizes = tuple(given)
    fine = len(sizes) == 2 and least <= sizes[0] <= sizes[1]
    require(fine, key, list(sizes), f"[smallest, largest], {least} or more")
    return int(sizes[0]), int(sizes[1])
