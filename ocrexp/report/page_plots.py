"""The plots of a page, as plotly's script takes them: plain values; the colors of the paper follow the theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ocrexp.report.curves import COLORS, Series, smoothed

Plot = dict[str, Any]  # id, title, traces, layout, log (whether its y axis has a button for logarithms)
MOST_POINTS = 300  # of a line
LOG_FROM = 20.0  # numbers whose largest is this many times the smallest get a logarithmic axis
_DASHES = ("solid", "dash", "dot")
_SCALE = [[0, "#CC79A7"], [0.5, "#E69F00"], [1, "#009E73"]]  # on a light page and on a dark one
_INK = {"#000000": "#888888"}  # black would be lost on a dark page


def color(index: int) -> str:
    """Of a run, by its place in the table."""
    chosen = COLORS[index % len(COLORS)]
    return _INK.get(chosen, chosen)


def curve_plots(runs: Sequence[tuple[str, Mapping[str, Series]]], metric: str) -> list[Plot]:
    """Losses, metric, learning rate and speed over the steps; a line for each run (name, columns of metrics.csv)."""
    wanted = (
        (f"val/{metric}", f"{metric} (validation)", False, False),
        ("train/loss", "training loss", True, True),
        ("val/loss", "validation loss", False, True),
        ("train/lr", "learning rate", False, True),
        ("train/images_per_second", "images per second", True, False),
    )
    plots = []
    for column, title, smooth, logs in wanted:
        traces = [
            _line(name, series[column], index, smooth)
            for index, (name, series) in enumerate(runs)
            if column in series and np.isfinite(series[column][1]).any()
        ]
        if traces:
            plots.append(
                {
                    "id": "curve-" + "".join(c if c.isalnum() else "-" for c in column),
                    "title": title,
                    "traces": traces,
                    "layout": {"xaxis": {"title": {"text": "step"}}, "showlegend": len(runs) > 1},
                    "log": logs,
                }
            )
    return plots


def _line(name: str, series: Series, index: int, smooth: bool) -> dict[str, Any]:
    steps, values = series
    values = smoothed(values) if smooth else values
    at = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTS)).round().astype(int))
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(at) <= 30 else "lines",
        "name": name,
        "x": [_short(value) for value in steps[at]],
        "y": [_short(value) for value in values[at]],
        "line": {
            "color": color(index), "width": 2.6 if index == 0 else 1.5,
            "dash": _DASHES[index // len(COLORS) % len(_DASHES)],
        },
        "marker": {"size": 5},
        "opacity": 1.0 if index == 0 else 0.85,
    }  # fmt: skip


def key_plots(keys: Sequence[str], rows: Sequence[Mapping[str, Any]], metric: str) -> list[Plot]:
    """The metric against each key, a point for each run (row with `run`, `best` and the keys), and the means."""
    plots = []
    for number, key in enumerate(keys):
        some = [row for row in rows if row.get("best") is not None and row.get(key) is not None]
        values = [row[key] for row in some]
        if len(set(map(str, values))) < 2:
            continue
        numeric = all(isinstance(value, int | float) for value in values)
        if not numeric:
            values = [str(value) for value in values]
        order = sorted(set(values))
        means = [float(np.mean([row["best"] for row, v in zip(some, values, strict=True) if v == x])) for x in order]
        axis: dict[str, Any] = {"title": {"text": key}, "type": "linear" if numeric else "category"}
        if numeric and wide(values):
            axis["type"] = "log"
        if numeric and len(order) <= 8:
            axis |= {"tickvals": order, "ticktext": [f"{value:g}" for value in order]}
        points = {
            "type": "scatter", "mode": "markers", "name": "runs", "x": values,
            "y": [_short(row["best"]) for row in some], "text": [row["run"] for row in some],
            "hovertemplate": "%{text}<br>%{x}: %{y:.4f}<extra></extra>",
            "marker": {"size": 9, "color": COLORS[0], "opacity": 0.8},
        }  # fmt: skip
        line = {
            "type": "scatter", "mode": "lines+markers", "name": "mean", "x": order, "y": means,
            "line": {"color": COLORS[1], "width": 1.5}, "marker": {"size": 5}, "hoverinfo": "skip",
        }  # fmt: skip
        layout = {"xaxis": axis, "yaxis": {"title": {"text": metric}}, "showlegend": False}
        plots.append(
            {
                "id": f"key-{number}",
                "title": f"{metric} by {key}",
                "traces": [line, points],
                "layout": layout,
                "log": False,
            }
        )
    return plots


def parallel_plot(keys: Sequence[str], rows: Sequence[Mapping[str, Any]], metric: str) -> Plot | None:
    """A line for each run through its values and its metric; None for fewer than two keys or runs."""
    some = [row for row in rows if row.get("best") is not None]
    if len(keys) < 2 or len(some) < 2:
        return None
    best = [float(row["best"]) for row in some]
    dimensions = [_dimension(key, [row.get(key) for row in some]) for key in keys]
    dimensions.append({"label": metric, "values": best})
    trace = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {"color": best, "colorscale": _SCALE, "showscale": False},
    }
    layout = {"margin": {"l": 70, "r": 40, "t": 60, "b": 30}}
    return {"id": "parallel", "title": "Parallel coordinates", "traces": [trace], "layout": layout, "log": False}


def importance_plot(shares: Sequence[tuple[str, float, float]]) -> Plot:
    """Bars with their uncertainty for (key, share, deviation)."""
    ordered = list(reversed(shares))
    trace = {
        "type": "bar", "orientation": "h", "x": [_short(one[1]) for one in ordered], "y": [one[0] for one in ordered],
        "error_x": {"type": "data", "array": [_short(one[2]) for one in ordered], "color": "#888888"},
        "marker": {"color": COLORS[0]},
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "share of the variance"}, "rangemode": "tozero"}, "yaxis": {"automargin": True},
        "showlegend": False, "bargap": 0.6,
    }  # fmt: skip
    return {"id": "importance", "title": "Importance of the keys", "traces": [trace], "layout": layout, "log": False}


def wide(values: Sequence[float]) -> bool:
    """Whether numbers need a logarithmic axis."""
    return min(values) > 0 and max(values) / min(values) >= LOG_FROM


def _dimension(key: str, values: list[Any]) -> dict[str, Any]:
    if all(isinstance(value, int | float) for value in values):
        scale = math.log10 if wide(values) else float
        places = sorted(set(values))
        found: dict[str, Any] = {"label": key, "values": [scale(value) for value in values]}
        if len(places) <= 12:
            return found | {"tickvals": [scale(v) for v in places], "ticktext": [f"{v:g}" for v in places]}
        return found | ({"label": f"log10 {key}"} if wide(values) else {})
    names = sorted({"default" if value is None else str(value) for value in values})
    at = [names.index("default" if value is None else str(value)) for value in values]
    return {"label": key, "values": at, "tickvals": list(range(len(names))), "ticktext": names}


def _short(value: float) -> float | None:
    """Five digits; None where the number is not finite."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
