"""What a noisy curve shows: its running level, the noise around it, whether it still improves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Series = tuple[Values, Values]  # steps, values

GAIN = 0.01  # of the metric (a share), from which on it goes on improving


def finite_part(series: Series | None) -> Series | None:
    """Without the values that are not finite; None if no other is there."""
    if series is None:
        return None
    keep = np.isfinite(series[1])
    return (series[0][keep], series[1][keep]) if keep.any() else None


def after_start(series: Series | None) -> Series | None:
    """Without the evaluation before the first step, and without values that are not finite."""
    found = finite_part(series)
    if found is None:
        return None
    keep = found[0] > 0
    return (found[0][keep], found[1][keep]) if keep.any() else None


def running_level(values: Values) -> Values:
    """Running median over about an eighth of the points, from 3 on, so that single outliers do not count."""
    half = max(1, len(values) // 16)
    padded = np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=-1)


def noise_around_level(values: Values) -> float:
    """Standard deviation around the level, from the median of absolute deviations."""
    rest = values - running_level(values)
    return 1.4826 * float(np.median(np.abs(rest)))


def roughness(values: Values) -> float:
    """Standard deviation of white noise on a straight line, from second differences."""
    return 1.4826 * float(np.median(np.abs(np.diff(values, 2)))) / float(np.sqrt(6))


def margin(values: Values) -> float:
    """What a metric has to gain for it to count: GAIN, or twice the noise from one evaluation to the next."""
    if len(values) < 5:
        return GAIN
    return max(GAIN, min(2 * roughness(values), 3 * GAIN))


def level_at(train: Series, step: float) -> float:
    """The running level of a loss at a step."""
    return float(np.interp(step, train[0], running_level(train[1])))


def value_at(rate: Series, step: float) -> float:
    """The value at a step, between those of its neighbors."""
    return float(np.interp(step, rate[0], rate[1]))


def improves_after(metric: Series, since: float, margins: int = 1) -> bool:
    """Whether the evaluations after a step are better than all up to it, by more than noise (or a multiple of it)."""
    steps, values = metric
    before, after = values[steps <= since], values[steps > since]
    if not len(after):
        return False
    return not len(before) or float(np.percentile(after, 75)) > float(np.max(before)) + margins * margin(values)
