"""Loss, learning rate and metric curves from metrics.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.files import replacing
from ocrexp.loggers.csv import STEP, read_rows

Series = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # steps, values
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MAIN_PARTS = ("hmean", "accuracy")  # drawn thick
TRAINING = " on training batches"


def read_series(path: Path) -> dict[str, Series]:
    """Each value's steps and values in a metrics.csv, rows without it left out; empty if there is no file."""
    if not path.is_file():
        return {}
    columns, rows = read_rows(path)
    series = {}
    for name in columns:
        written = [(int(row[STEP]), _number(row[name])) for row in rows if name != STEP and name in row]
        if written:
            table = np.array(written, dtype=np.float64)
            series[name] = (table[:, 0], table[:, 1])
    return series


def plot_run(metrics_csv: Path, folder: Path, title: str = "") -> list[Path]:
    """Draws `loss.png`, `lr.png`, `metrics.png`, `speed.png` into `folder`, each where there is something to draw.

    Returns the files written. Each is replaced atomically, so that a viewer never sees half of one.
    """
    series = read_series(metrics_csv)
    train = {name.removeprefix("train/"): values for name, values in series.items() if name.startswith("train/")}
    losses = {name: values for name, values in train.items() if name == "loss" or name.startswith("loss_")}
    # Shares lie in 0..1; counts, such as those of invalid polygons, and seconds do not belong on their axis.
    metrics = {
        name.removeprefix("val/"): values
        for name, values in series.items()
        if name.startswith("val/")
        and np.nanmax(np.abs(values[1]), initial=0.0) <= 1.0
        and "/" not in name.removeprefix("val/")  # details, as the accuracy of a length
    }
    metrics |= {name + TRAINING: train[name] for name in MAIN_PARTS if name in metrics and name in train}
    plots = []
    if losses:
        plots.append(_plot(losses, folder / "loss.png", "training loss", title, smooth=True))
    if "lr" in train:
        plots.append(_plot({"learning rate": train["lr"]}, folder / "lr.png", "learning rate", title))
    if metrics:
        plots.append(_plot(metrics, folder / "metrics.png", "validation", title, share=True))
    if "images_per_second" in train:
        speed = {"images/s": train["images_per_second"]}
        plots.append(_plot(speed, folder / "speed.png", "training images per second", title))
    return plots


def smoothed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Running mean over about a twentieth of the points, centred, shorter at the ends; NaN are left out."""
    half = len(values) // 40
    if half == 0:
        return values
    valid = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(valid, values, 0.0))])
    counts = np.concatenate([[0.0], np.cumsum(valid)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    with np.errstate(invalid="ignore"):
        return (sums[high] - sums[low]) / (counts[high] - counts[low])


def _plot(
    series: dict[str, Series], path: Path, label: str, title: str, smooth: bool = False, share: bool = False
) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # no global state, no window, whatever the machine has
    axes: Any = figure.add_subplot()
    for colour, (name, (steps, values)) in zip(_cycle(len(series)), series.items(), strict=True):
        thick = name in MAIN_PARTS or name == "loss" or len(series) == 1
        marker = "o" if len(steps) <= 40 and not smooth else None
        smooth_this = smooth or name.endswith(TRAINING)
        line = smoothed(values) if smooth_this else values
        if smooth_this and line is not values:
            axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
        width = 2.2 if thick else 1.3
        best = f" (best {np.nanmax(values):.3f})" if share and np.isfinite(values).any() else ""
        axes.plot(steps, line, color=colour, linewidth=width, marker=marker, markersize=4, label=name + best)
    if share:
        axes.set_ylim(0, 1.05)
    elif all((values[np.isfinite(values)] >= 0).all() for _, values in series.values()):
        axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _cycle(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
