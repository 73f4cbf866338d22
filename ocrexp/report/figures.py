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


def space_figures(metrics: Mapping[str, float]) -> str:
    """`spaces per 100: missed 4.0 added 1.5; accuracy without spaces 0.9140`; "" where the labels have none."""
    if "spaces/missed_per_100" not in metrics:
        return ""
    missed, added = metrics["spaces/missed_per_100"], metrics["spaces/added_per_100"]
    without = _shown(metrics["accuracy_no_spaces"])
    return f"spaces per 100: missed {missed:.1f} added {added:.1f}; accuracy without spaces {without}"


def _shown(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
