"""What a search for a learning rate leaves: its points as CSV, and a picture with the suggestions."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp import files
from ocrexp.optim.range_test import LINEAR, RangeCurve, Suggestions
from ocrexp.report.curves import COLORS
from ocrexp.report.title import plain


def write_points(path: Path, curve: RangeCurve) -> None:
    """Write `step, lr, loss, smoothed` of each step. Raises OSError."""
    points = zip(curve.rates, curve.losses, curve.smoothed, strict=True)
    rows = [[step, f"{lr:.6g}", f"{loss:.6g}", f"{mean:.6g}"] for step, (lr, loss, mean) in enumerate(points)]
    _write_csv(path, ["step", "lr", "loss", "smoothed"], rows)


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of equal keys. Raises OSError."""
    columns = list(rows[0])
    _write_csv(path, columns, [["" if row[name] is None else row[name] for name in columns] for row in rows])


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def plot_range(path: Path, curve: RangeCurve, found: Suggestions | None, mode: str, title: str) -> None:
    """Draw the losses over the rate, the suggestions as lines, the recommended one thick. Raises OSError."""
    figure, axes = _figure(title)
    axes.plot(curve.rates, curve.losses, color=COLORS[0], alpha=0.25, linewidth=0.9, label="loss of each step")
    axes.plot(curve.rates, curve.smoothed, color=COLORS[0], linewidth=2.2, label="smoothed")
    if mode != LINEAR:
        axes.set_xscale("log")
    _limit(axes, curve)
    for color, suggestion in zip(COLORS[1:], found.all if found else [], strict=False):
        chosen = found is not None and suggestion == found.recommended
        at = float(np.interp(suggestion.rate, curve.rates, curve.smoothed))
        label = f"{suggestion.name}: {suggestion.rate:.2g}" + (" (recommended)" if chosen else "")
        axes.axvline(suggestion.rate, color=color, linewidth=2.0 if chosen else 1.0, linestyle="-" if chosen else "--")
        axes.plot(suggestion.rate, at, "o", color=color, markersize=9 if chosen else 6, label=plain(label), zorder=5)
    axes.set_xlabel("optim.lr")
    axes.set_ylabel("training loss")
    axes.legend(frameon=False, fontsize=9, loc="best")
    _save(figure, path)


def plot_trainings(path: Path, rates: Sequence[float], values: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw the results of short trainings over their rates, a panel for each name. Raises OSError."""
    from matplotlib.ticker import NullLocator

    figure, panels = _figure(title, len(values))
    for panel, (name, results) in zip(np.ravel(panels), values.items(), strict=True):
        panel.plot(rates, results, "o-", color=COLORS[0], linewidth=2)
        panel.set_xscale("log")
        panel.set_xticks(list(rates), [f"{rate:.2g}" for rate in rates])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("optim.lr")
        panel.set_ylabel(plain(name))
        panel.margins(x=0.08, y=0.12)
    _save(figure, path)


def _limit(axes: Any, curve: RangeCurve) -> None:
    """Show the fall: what rises far above the start of the curve is cut off."""
    low, high = float(np.min(curve.smoothed)), float(np.percentile(curve.smoothed, 75))
    room = max(high - low, 1e-9)
    start = float(np.max(curve.smoothed[: max(1, len(curve.smoothed) // 4)]))
    axes.set_ylim(low - 0.15 * room, max(high, start) + 0.5 * room)


def _figure(title: str, panels: int = 1) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6) if panels == 1 else (5.6 * panels, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(plain(title), fontsize=10, x=0.01, ha="left")
    axes = figure.subplots(1, panels)
    for one in np.ravel(axes):
        one.grid(True, color="#DDDDDD", linewidth=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png")
