"""A sweep's metric against each swept key: one panel for each key in `sweep.png`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ocrexp import files
from ocrexp.report.curves import BEFORE, COLORS
from ocrexp.report.title import plain

PANELS_IN_ROW = 3
LABEL_LETTERS = 18
LOG_FROM = 20  # numbers whose largest is this many times the smallest get a logarithmic axis


def plot_sweep(path: Path, rows: list[dict[str, Any]], keys: list[str], metric: str, title: str) -> Path | None:
    """Draw the jobs that have a value, each a point, the first marked as the best, and as hollow diamonds their values
    before training; None if no key has two values.

    Numbers lie on an axis (logarithmic where they span more than a decade or so), other values side by side.
    """
    rows = [row for row in rows if row["best"] is not None]
    keys = [key for key in keys if len({row.get(key) for row in rows}) > 1]
    if not rows or not keys:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(keys), PANELS_IN_ROW)
    lines = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(max(5.0, 4.0 * columns), 3.6 * lines), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(plain(title), fontsize=10, x=0.01, ha="left")
    panels: Any = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for panel, key in zip(panels.flat, keys, strict=False):
        _draw(panel, [row for row in rows if key in row], key)
        panel.set_xlabel(plain(key))
    for panel in panels.flat[len(keys) :]:
        panel.set_visible(False)
    for line in panels:
        line[0].set_ylabel(plain(metric))
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _draw(axes: Any, rows: list[dict[str, Any]], key: str) -> None:
    numbers = [_number(str(row[key])) for row in rows]
    values = [float(row["best"]) for row in rows]
    places: list[float]
    if numeric := all(number is not None for number in numbers):
        places = [float(number) for number in numbers if number is not None]
        if min(places) > 0 and max(places) / min(places) >= LOG_FROM:
            axes.set_xscale("log")
        else:
            axes.margins(x=0.12)
        if len(set(places)) <= 6:
            by_place = dict(zip(places, (plain(str(row[key])) for row in rows), strict=True))
            axes.set_xticks(list(by_place), list(by_place.values()), minor=False)
            axes.minorticks_off()
    else:
        names = sorted({str(row[key]) for row in rows})
        places = [float(names.index(str(row[key]))) for row in rows]
        slanted = sum(len(_label(name)) for name in names) > 34
        axes.set_xticks(
            range(len(names)), [_label(name) for name in names],
            rotation=25 if slanted else 0, ha="right" if slanted else "center",
        )  # fmt: skip
        axes.set_xlim(-0.5, len(names) - 0.5)
    means = {
        place: _mean(v for p, v in zip(places, values, strict=True) if p == place) for place in sorted(set(places))
    }
    if numeric:
        axes.plot(list(means), list(means.values()), color=COLORS[0], alpha=0.45, linewidth=1.5, zorder=2)
    elif len(means) < len(places):
        for place, mean in means.items():
            axes.plot([place - 0.18, place + 0.18], [mean, mean], color=COLORS[0], alpha=0.6, linewidth=2, zorder=2)
    axes.scatter(places, values, color=COLORS[0], s=30, zorder=3)
    before = [(p, row["zero_shot"]) for p, row in zip(places, rows, strict=True) if row.get("zero_shot") is not None]
    if before:
        axes.scatter(*zip(*before, strict=True), marker="D", s=34, color="white", edgecolor=COLORS[2], label=BEFORE)
        axes.legend(frameon=False, fontsize=8)
    best = 0  # the rows come best first
    axes.scatter(places[best], values[best], marker="*", s=190, color=COLORS[1], edgecolor="white", zorder=4)
    axes.annotate(
        f"{values[best]:.3f}", (places[best], values[best]), xytext=(0, 9), textcoords="offset points",
        ha="center", fontsize=9, color=COLORS[1],
    )  # fmt: skip
    axes.margins(y=0.18)
    if not any(values):
        axes.set_ylim(0, 1)  # of jobs that have reached nothing, not a range around 0
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _mean(values: Iterable[float]) -> float:
    present = list(values)
    return sum(present) / len(present)


def _label(value: str) -> str:
    """A value short enough for an axis: its end, where the names of files differ."""
    value = plain(value)
    return value if len(value) <= LABEL_LETTERS else "…" + value[-LABEL_LETTERS + 1 :]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
