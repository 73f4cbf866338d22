"""Checks of the settings that the drawn datasets have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def require(fine: bool, key: str, value: object, allowed: str) -> None:
    """Raise ValueError, naming the option, its value and what is allowed, unless `fine`."""
    if not fine:
        raise ValueError(f"{key}: expected {allowed}, got {value}")


def existing_folder(key: str, value: str | None) -> Path | None:
    """The folder, or None if none is given. Raises ValueError if the folder does not exist."""
    if value is None:
        return None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ValueError(f"{key}={value}: folder not found; give an existing folder or null")
    return path


def checked_weights(key: str, given: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Weights by name. Raises ValueError for a name that is not among `names`, for negative ones and all zeros."""
    weights = {str(name): float(value) for name, value in given.items()}
    known = list(names)
    unknown = [name for name in weights if name not in known]
    require(not unknown, key, ", ".join(unknown), f"weights of {', '.join(known)}")
    fine = sum(weights.values()) > 0 and min(weights.values()) >= 0
    require(fine, key, weights, "weights of 0 or more, one above 0")
    return weights


def size_range(key: str, given: Iterable[int], least: int) -> tuple[int, int]:
    """[smallest, largest] as a tuple. Raises ValueError unless there are two in their order, `least` or more."""
    sizes = tuple(given)
    fine = len(sizes) == 2 and least <= sizes[0] <= sizes[1]
    require(fine, key, list(sizes), f"[smallest, largest], {least} or more")
    return int(sizes[0]), int(sizes[1])
