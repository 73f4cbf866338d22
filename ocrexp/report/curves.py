"""Loss, learning rate and metric curves from metrics.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.files import replacing
from ocrexp.loggers.csv import STEP, read_rows
from ocrexp.report.title import plain

Series = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # steps, values
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MAIN_PARTS = ("hmean", "accuracy")  # drawn thick
NOT_SHARES = ("area_ratio",)  # may be above 1
TRAINING = " on training batches"
VALIDATION = "validation loss"
BEFORE = "before training"
_LOW = 0.12  # below, a text under the point would lie on the axis


def read_series(path: Path) -> dict[str, Series]:
    """Each value's steps and values in a metrics.csv, without rows that lack it; empty if there is no file."""
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
    train, losses, metrics = _grouped(read_series(metrics_csv))
    plots = []
    if losses:
        plots.append(_plot(losses, folder / "loss.png", "loss", title, smooth=True))
    if "lr" in train:
        rates = {f"of {name.removeprefix('lr/')}": train[name] for name in train if name.startswith("lr/")}
        plots.append(_plot({"learning rate": train["lr"], **rates}, folder / "lr.png", "learning rate", title))
    if metrics:
        plots.append(_plot(metrics, folder / "metrics.png", "validation", title, share=True))
    if "images_per_second" in train:
        speed = {"images/s": train["images_per_second"]}
        plots.append(_plot(speed, folder / "speed.png", "training images per second", title))
    return plots


def plot_results(metrics_csv: Path, path: Path, title: str = "") -> Path | None:
    """One picture of a run: losses of training and validation, and the metric of every evaluation with the best marked.

    None if there is nothing to draw.
    """
    _, losses, metrics = _grouped(read_series(metrics_csv))
    losses = {name: values for name, values in losses.items() if name in ("loss", VALIDATION)}
    panels = [
        (series, label, smooth)
        for series, label, smooth in ((losses, "loss", True), (metrics, "validation", False))
        if series
    ]
    if not panels:
        return None
    figure, axes = _figure(len(panels))
    for one, (series, label, smooth) in zip(axes, panels, strict=True):
        _draw(one, series, label, smooth, share=label != "loss")
    figure.suptitle(plain(title), fontsize=11, x=0.01, ha="left")
    return _save(figure, path)


def _grouped(series: dict[str, Series]) -> tuple[dict[str, Series], dict[str, Series], dict[str, Series]]:
    """Values of training; losses (training, then validation); shares of the evaluations, without details."""
    train = {name.removeprefix("train/"): values for name, values in series.items() if name.startswith("train/")}
    losses = {name: values for name, values in train.items() if _is_loss(name)}
    if "val/loss" in series:
        losses[VALIDATION] = series["val/loss"]
    # Shares lie in 0..1; counts, such as those of invalid polygons, and seconds do not belong on their axis.
    metrics = {
        name.removeprefix("val/"): values
        for name, values in series.items()
        if name.startswith("val/")
        and not _is_loss(name.removeprefix("val/"))
        and np.nanmax(np.abs(values[1]), initial=0.0) <= 1.0
        and name.removeprefix("val/") not in NOT_SHARES
        and "/" not in name.removeprefix("val/")  # details, as the accuracy of a length
    }
    metrics = _without_variants(metrics)
    metrics |= {name + TRAINING: train[name] for name in MAIN_PARTS if name in metrics and name in train}
    return train, losses, metrics


def _without_variants(metrics: dict[str, Series]) -> dict[str, Series]:
    """Without values such as `accuracy_ignore_case` beside `accuracy`, which hide each other; metrics.csv has them."""
    return {
        name: values
        for name, values in metrics.items()
        if not any(name.startswith(f"{other}_") for other in metrics if other != name)
    }


def _is_loss(name: str) -> bool:
    return name == "loss" or name.startswith("loss_")


def smoothed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Running mean over about a twentieth of the points, centered, shorter at the ends; NaN are skipped."""
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
    figure, (axes,) = _figure(1)
    _draw(axes, series, label, smooth, share)
    axes.set_title(plain(title), fontsize=10, loc="left")
    return _save(figure, path)


def _figure(panels: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2) if panels == 1 else (6.2 * panels, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # no global state, no window, whatever the machine has
    return figure, list(np.ravel(figure.subplots(1, panels)))


def _draw(axes: Any, series: dict[str, Series], label: str, smooth: bool, share: bool) -> None:
    for color, (name, (steps, values)) in zip(_cycle(len(series)), series.items(), strict=True):
        thick = name in (*MAIN_PARTS, "loss", VALIDATION) or len(series) == 1
        evaluated = not smooth or name == VALIDATION
        marker = "o" if len(steps) <= 40 and evaluated else None
        smooth_this = (smooth and name != VALIDATION) or name.endswith(TRAINING)
        line = smoothed(values) if smooth_this else values
        if smooth_this and line is not values:
            axes.plot(steps, values, color=color, alpha=0.22, linewidth=0.8)
        width = 2.2 if thick else 1.3
        best = f" (best {np.nanmax(values):.3f})" if share and np.isfinite(values).any() else ""
        shown = name + best if name == VALIDATION or label != "loss" else _of_training(name)
        axes.plot(steps, line, color=color, linewidth=width, marker=marker, markersize=4, label=plain(shown))
        if share and name in MAIN_PARTS and best and steps[0] == 0:
            axes.axhline(values[0], color=color, linestyle=":", linewidth=1.2, zorder=1)
            axes.plot(
                0, values[0], marker="D", markersize=8, color="white", markeredgecolor=color, markeredgewidth=1.8,
                zorder=6, clip_on=False, linestyle="none", label=f"{BEFORE} ({values[0]:.3f})",
            )  # fmt: skip
        if share and name in MAIN_PARTS and best:
            at = int(np.nanargmax(values))
            axes.plot(steps[at], values[at], marker="*", markersize=15, color=color, markeredgecolor="white", zorder=5)
            away = -16 if values[at] > _LOW else 10
            axes.annotate(
                f"{values[at]:.3f} at step {int(steps[at])}", (steps[at], values[at]), xytext=(0, away),
                textcoords="offset points", ha="right" if at > len(steps) / 2 else "left", fontsize=9, color=color,
            )  # fmt: skip
    if share:
        axes.set_ylim(0, 1.05)
    elif all((values[np.isfinite(values)] >= 0).all() for _, values in series.values()):
        highest = max(np.max(values[np.isfinite(values)], initial=0.0) for _, values in series.values())
        axes.set_ylim(0, 1.05 * highest or 1)
    axes.set_xlabel("step")
    axes.set_ylabel(f"{label} {plain(next(iter(series)))}" if share and len(series) == 1 else label)
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    axes.set_xlim(left=0)  # the first evaluation comes late: panels of a run have one axis
    if len(series) > 1 or any(str(line.get_label()).startswith(BEFORE) for line in axes.get_lines()):
        axes.legend(frameon=False, fontsize=9)


def _of_training(name: str) -> str:
    return "training loss" if name == "loss" else name.removeprefix("loss_")


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _cycle(count: int) -> list[str]:
    return [COLORS[index % len(COLORS)] for index in range(count)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
