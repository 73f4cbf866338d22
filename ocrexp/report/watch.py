"""What the curves of a run show: divergence, overfitting, oscillation, underfitting, a plateau. One line, or none.

Every rule compares a change with the noise of its curve and with the size of what was learned, so that the curves of a
healthy run give no line. The thresholds are below; `tests/report/test_watch.py` has curves of each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ocrexp.report.series import (
    GAIN,
    Series,
    after_start,
    finite_part,
    improves_after,
    level_at,
    margin,
    noise_around_level,
    roughness,
    running_level,
    value_at,
)

EVALUATIONS = 4  # fewer show no course
POINTS = 12  # of the training loss
RISE = 0.25  # of what the loss has fallen, from which on a rise counts
EXPLODED = 10.0  # times the validation loss before training; augmented images of a pretrained network cost less
FALL = 0.10  # of the training loss, from which on it goes on falling
SWING = 0.05  # of the metric, from one evaluation to the next
LOSS_SWING = 1.5  # of the training loss's level; the noise of small batches is below
RISEN = 1.5  # of its first level, from which on a third of such a swing counts
BARELY = 0.15  # of the first training loss: it has hardly fallen
GOOD = 0.95  # of the metric; above, neither a plateau nor a validation loss needs advice
HIGH_RATE = 0.3  # of the highest learning rate; below, the schedule explains a plateau


@dataclass(frozen=True)
class Observation:
    """What was seen: `kind`, the step `since` which it shows, and the `line` for people with evidence and advice."""

    kind: str
    since: int
    line: str


def watch(series: Mapping[str, Series], main: str) -> Observation | None:
    """The most serious thing that the curves of a run show; None for a healthy or a short run.

    Args:
        series: steps and values by the column of metrics.csv (`train/loss`, `val/loss`, `train/lr`, `val/<main>`).
        main: name of the metric that decides, a share in 0..1, higher is better.
    """
    train, val = finite_part(series.get("train/loss")), after_start(series.get("val/loss"))
    metric, rate = after_start(series.get(f"val/{main}")), series.get("train/lr")
    raw = series.get("train/loss")
    if raw is not None and (found := _not_finite(raw)):
        return found
    for look in (
        lambda: _exploded(train, series.get("val/loss")),
        lambda: _divergence(train, metric, main),
        lambda: _overfitting(train, val, metric, main),
        lambda: _oscillation(train, metric, main),
        lambda: _underfitting(train, metric, main),
        lambda: _plateau(metric, rate, main),
    ):
        if found := look():
            return found
    return None


def _not_finite(raw: Series) -> Observation | None:
    steps, values = raw
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return None
    since = int(steps[bad[0]])
    return _seen(
        "divergence", since, "train/loss is not finite", _SLOWER,
    )  # fmt: skip


_SLOWER = "lower optim.lr (a tenth), set optim.clip_norm=5, or lengthen the warm-up (optim.schedule.warmup_steps)"


def _divergence(train: Series | None, metric: Series | None, main: str) -> Observation | None:
    """The training loss has risen from its lowest level and stays there; no later evaluation is better."""
    if train is None or len(train[1]) < POINTS:
        return None
    steps, values = train
    level = running_level(values)
    low = int(np.argmin(level))
    late = level[-max(2, len(level) // 10) :]
    rise = float(np.min(late) - level[low])
    fallen = max(float(level[0] - level[low]), 0.0)
    if low > 0.9 * len(level) or rise < max(RISE * fallen, 4 * noise_around_level(values), 0.5 * abs(level[low])):
        return None
    since = float(steps[np.flatnonzero(level <= level[low] + 0.2 * rise)[-1]])
    if metric is not None and len(metric[1]) and improves_after(metric, since):
        return None
    evidence = f"train/loss rose from {level[low]:.4g} to {level[-1]:.4g}"
    if metric is not None and len(metric[1]):
        evidence += f", {main} ended at {metric[1][-1]:.3f} after {np.max(metric[1]):.3f}"
    return _seen(
        "divergence", since, evidence,
        "lower optim.lr (a third, a tenth), set optim.clip_norm=5, or lengthen the warm-up "
        "(optim.schedule.warmup_steps)",
    )  # fmt: skip


def _exploded(train: Series | None, val: Series | None) -> Observation | None:
    """The training loss is far above the validation loss before training, from its first logged value on."""
    if train is None or val is None or len(train[1]) < POINTS or val[0][0] > 0:
        return None
    start, level = float(val[1][0]), running_level(train[1])
    if not np.isfinite(start) or start <= 0 or np.min(level) < EXPLODED * start:
        return None
    return _seen(
        "divergence", train[0][0],
        f"train/loss is {level[0]:.4g} and {level[-1]:.4g} at the end; val/loss was {start:.4g} before training",
        _SLOWER,
    )  # fmt: skip


def _overfitting(train: Series | None, val: Series | None, metric: Series | None, main: str) -> Observation | None:
    """The validation loss rises, or stays far above, while the training loss falls, and the metric gains nothing."""
    if train is None or val is None or len(val[1]) < EVALUATIONS or len(train[1]) < EVALUATIONS:
        return None
    if metric is not None and float(metric[1][-1]) >= max(GOOD, float(np.max(metric[1])) - 3 * GAIN):
        return None  # whatever the losses are, there is hardly anything to gain
    steps, values = val
    low = int(np.argmin(values))
    since = float(steps[low])
    if metric is not None and improves_after(metric, since):
        return _gap(train, val, metric, main)
    before, after = level_at(train, since), running_level(train[1])[-1]
    falls = before > 0 and (before - after) > FALL * before
    end = float(np.median(values[-2:]))
    rise = end - values[low]
    fallen = max(float(values[0] - values[low]), 0.0)
    noise = max(noise_around_level(values), roughness(values)) if len(values) > 5 else 0.0
    if falls and low < len(values) - 2 and rise > max(0.1 * abs(values[low]), 0.1 * fallen, 2 * noise):
        evidence = (
            f"val/loss rose from {values[low]:.4g} to {end:.4g} while train/loss fell from {before:.4g} to {after:.4g}"
        )
        return _seen("overfitting", since, evidence + _stands(metric, main, since), _LESS_CAPACITY)
    return _gap(train, val, metric, main)


def _gap(train: Series, val: Series, metric: Series | None, main: str) -> Observation | None:
    """The training loss has become a small part of the validation loss, which has not moved for half of the run."""
    steps, values = val
    half = len(values) // 2
    since = float(steps[half])
    before, after = level_at(train, since), float(running_level(train[1])[-1])
    stands = abs(float(np.median(values[half:]) - np.median(values[-2:]))) < 0.05 * abs(float(values[-1]))
    if len(values) < 2 * EVALUATIONS or not stands or before <= 0 or before - after < 0.3 * before:
        return None
    if after > 0.25 * values[-1] or (metric is not None and improves_after(metric, since)):
        return None
    evidence = (
        f"val/loss stays at {values[-1]:.4g} while train/loss fell from {before:.4g} to {after:.4g}"
        f"{_stands(metric, main, since)}"
    )
    return _seen("overfitting", since, evidence, _LESS_CAPACITY)


_LESS_CAPACITY = (
    "use more images or more augmentation, a larger optim.weight_decay, a smaller model, or stop earlier "
    "(callbacks=early_stopping)"
)


def _oscillation(train: Series | None, metric: Series | None, main: str) -> Observation | None:
    """The metric jumps up and down between evaluations, or the training loss around a level that does not fall."""
    if metric is not None and len(metric[1]) >= EVALUATIONS + 2:
        steps, values = (part[len(metric[1]) // 3 :] for part in metric)
        moves = np.diff(values)
        turns = float(np.mean(moves[1:] * moves[:-1] < 0)) if len(moves) > 1 else 0.0
        swing = float(np.median(np.abs(moves)))
        if turns >= 0.5 and swing > SWING and abs(values[-1] - values[0]) < 3 * swing:
            return _seen(
                "oscillation", steps[0],
                f"{main} changes by {swing:.3f} from one evaluation to the next, between {np.min(values):.3f} and "
                f"{np.max(values):.3f}",
                f"{_CALMER}, average the weights (trainer.ema_decay=0.999), or use more validation images",
            )  # fmt: skip
    if train is None or len(train[1]) < 2 * POINTS:
        return None
    steps, values = (part[len(train[1]) // 2 :] for part in train)
    middle, first = float(np.median(values)), float(running_level(train[1])[0])
    low, high = np.percentile(values, [10, 90])
    above = middle > RISEN * first  # small batches alone do not raise a loss
    falls = np.mean(values[: len(values) // 3]) - np.mean(values[-len(values) // 3 :])
    turns = float(np.mean(np.diff(values)[1:] * np.diff(values)[:-1] < 0))
    least = (LOSS_SWING / 3 if above else LOSS_SWING) * middle
    if middle <= 0 or turns < 0.3 or high - low < least or falls > 0.5 * (high - low):
        return None
    if metric is not None and len(metric[1]) and (improves_after(metric, float(steps[0])) or np.max(metric[1]) > 0.5):
        return None  # it learns in spite of it
    return _seen(
        "oscillation", steps[0],
        f"train/loss swings between {low:.4g} and {high:.4g} around {middle:.4g} and does not fall"
        + (f"; it began at {first:.4g}" if above else ""),
        _CALMER,
    )  # fmt: skip


_CALMER = "lower optim.lr, use a larger batch (loader.batch_size, trainer.accumulate), set optim.clip_norm=5"


def _underfitting(train: Series | None, metric: Series | None, main: str) -> Observation | None:
    """The training loss has hardly fallen, or both curves still improve quickly when the run ends."""
    if train is None or len(train[1]) < POINTS:
        return None
    steps, values = train
    level = running_level(values)
    low_metric = metric is not None and len(metric[1]) > 0 and np.max(metric[1]) < 0.5
    first, last = (float(np.median(part)) for part in (values[: len(values) // 5], values[-len(values) // 5 :]))
    if low_metric and last > (1 - BARELY) * first > 0:
        return _seen(
            "underfitting", steps[0],
            f"train/loss went from {first:.4g} to {last:.4g}, {main} reached {np.max(metric[1]):.3f}",  # type: ignore[index]
            "try ten times optim.lr and a tenth of it, more steps, a larger model; check the labels (debug=targets)",
        )  # fmt: skip
    if metric is None or len(metric[1]) < EVALUATIONS:
        return None
    third = max(1, len(metric[1]) // 3)
    gain = float(np.median(metric[1][-2:]) - metric[1][-third - 1])
    before = level_at(train, float(metric[0][-third - 1]))
    falls = before > 0 and before - level[-1] > FALL * before
    if gain < 0.1 or gain < 0.25 * float(np.ptp(metric[1])) or not falls:
        return None
    return _seen(
        "underfitting", metric[0][-third - 1],
        f"{main} still rose by {gain:.3f} to {metric[1][-1]:.3f} and train/loss fell from {before:.4g} to "
        f"{level[-1]:.4g} when the run ended",
        "train longer (trainer.max_epochs or trainer.max_steps), or start from model.pretrained",
    )  # fmt: skip


def _plateau(metric: Series | None, rate: Series | None, main: str) -> Observation | None:
    """The metric has not improved for more than half of the run, though the learning rate was still high."""
    if metric is None or len(metric[1]) < 2 * EVALUATIONS or np.max(metric[1]) >= GOOD:
        return None
    steps, values = metric
    reached = float(np.median(values[-len(values) // 2 :]))
    since = int(np.argmax(values >= reached - margin(values)))
    total = steps[-1]
    if steps[since] > 0.4 * total or reached <= 0 or improves_after(metric, float(steps[since]), 2):
        return None
    if rate is None or value_at(rate, 0.8 * total) < HIGH_RATE * float(np.max(rate[1])):
        return None
    return _seen(
        "plateau", steps[since],
        f"{main} has stayed at {reached:.3f} for {total - steps[since]:.0f} of {total:.0f} steps with a learning rate "
        f"of {value_at(rate, total):.3g}",
        "lower optim.lr or let it fall (scheduler=cosine), try a larger model or other augmentation, or stop earlier "
        "(callbacks=early_stopping)",
    )  # fmt: skip


def _seen(kind: str, since: float, evidence: str, advice: str) -> Observation:
    return Observation(kind, int(since), f"{kind} since step {int(since)}: {evidence}; {advice}")


def _stands(metric: Series | None, main: str, since: float) -> str:
    """How the metric was at a step, and at the end."""
    if metric is None or not len(metric[1]):
        return ""
    return f", {main} went from {np.interp(since, *metric):.3f} to {metric[1][-1]:.3f}"
