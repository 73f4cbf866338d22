"""An evaluation's values in one line for a person; files have all of them."""

from __future__ import annotations

from collections.abc import Mapping

from ocrexp.errors import printable

EDIT_DISTANCE = "norm_edit_distance"  # of a recognizer


def figures(metrics: Mapping[str, float], main: str = "accuracy") -> str:
    """`precision 0.8123 recall 0.7991 hmean 0.8056`; of a recognizer `main` and the normalized edit distance alone.

    Values with a "/" in their name are for files and loggers.
    """
    names = [name for name in metrics if "/" not in name]
    if EDIT_DISTANCE in metrics:
        names = [name for name in dict.fromkeys((main, EDIT_DISTANCE)) if name in metrics]
    return " ".join(f"{printable(name)} {_shown(metrics[name])}" for name in names)


def _shown(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
