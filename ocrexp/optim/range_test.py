"""The learning rate range test: the rates of a ramp, its smoothed losses, and what they suggest. Imports no paddle.

Smith, "Cyclical Learning Rates for Training Neural Networks" (WACV 2017): train while the rate rises, and look where
the loss falls and where it begins to rise. The suggestions steepest, minimum / 10 and valley are those of fastai's
`Learner.lr_find`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

EXPONENTIAL, LINEAR = "exponential", "linear"
LEAST_POINTS = 12  # fewer show no course
_SKIPPED = 0.1  # of the points, at the beginning
_LEAST_FALL = 0.02  # of the loss at low rates; a smaller fall is a flat curve
_ERRORS = 3.5  # standard errors that a fall has to exceed: of 500 curves of noise alone, 1 or 2 do


@dataclass(frozen=True)
class Ramp:
    """The rates of a test: from `start` to `end` in `steps` steps, equal factors (exponential) or distances (linear).

    Raises ValueError for values that make no ramp.
    """

    start: float
    end: float
    steps: int
    mode: str = EXPONENTIAL

    def __post_init__(self) -> None:
        if self.mode not in (EXPONENTIAL, LINEAR):
            raise ValueError(f"mode: expected {EXPONENTIAL} or {LINEAR}, got {self.mode!r}")
        if not 0 < self.start < math.inf:
            raise ValueError(f"start: expected a number above 0, got {self.start:g}")
        if not self.start < self.end < math.inf:
            raise ValueError(f"end: expected a number above start={self.start:g}, got {self.end:g}")
        if self.steps < LEAST_POINTS:
            raise ValueError(f"steps: expected {LEAST_POINTS} or more for a ramp, got {self.steps}")

    def __call__(self, step: int) -> float:
        """The rate of a step, from 0."""
        share = step / (self.steps - 1)
        if self.mode == LINEAR:
            return self.start + (self.end - self.start) * share
        return self.start * (self.end / self.start) ** share


class Smoothed:
    """Exponential mean of a series, corrected for its start at 0 (as the moments of Adam are).

    Raises ValueError for a share that is not in 0..1 (1 excluded).
    """

    def __init__(self, beta: float) -> None:
        if not 0 <= beta < 1:
            raise ValueError(f"smoothing: expected a number from 0 to below 1, got {beta:g}")
        self._beta = beta
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> float:
        """The mean with one more value."""
        self._count += 1
        self._sum = self._beta * self._sum + (1 - self._beta) * value
        return self._sum / (1 - self._beta**self._count)


@dataclass(frozen=True)
class RangeCurve:
    """A test's points: rates, losses, losses smoothed with the share `smoothing`; `ended` says why it stopped before
    the end of the ramp."""

    rates: Values
    losses: Values
    smoothed: Values
    smoothing: float
    ended: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """A rate, and what it is on the curve."""

    name: str
    rate: float
    why: str


@dataclass(frozen=True)
class Suggestions:
    """All suggestions, and the one to use first."""

    all: list[Suggestion]
    recommended: Suggestion
    reason: str


def unusable(curve: RangeCurve) -> str | None:
    """Why a curve suggests nothing, as a line with what to do; None for one that does."""
    points = len(curve.rates)
    if points < LEAST_POINTS:
        why = f" ({curve.ended})" if curve.ended else ""
        return (
            f"the test has {points} of the {LEAST_POINTS} points that a suggestion needs{why}; "
            "lower start, or raise steps"
        )
    level, lowest, error = _fall(curve)
    if level - lowest <= max(_LEAST_FALL * abs(level), _ERRORS * error):
        return (
            f"the loss has not fallen beyond its noise: from {level:.4g} to {lowest:.4g} ± {error:.2g} at rates from "
            f"{curve.rates[0]:.2g} to {curve.rates[-1]:.2g}; set another start or end, more steps, a larger batch, or "
            "compare trainings (rates=[1e-4,3e-4,1e-3])"
        )
    return None


def _fall(curve: RangeCurve) -> tuple[float, float, float]:
    """Mean loss at the lowest rates and before the minimum, of an eighth of the steps each, and the standard error of
    their difference, from the differences of neighboring losses (robust)."""
    window = max(4, len(curve.losses) // 8)
    lowest = window + int(np.argmin(curve.smoothed[window:]))
    first, last = curve.losses[:window], curve.losses[max(window, lowest - window + 1) : lowest + 1]
    steps = np.diff(curve.losses)
    noise = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2)
    return float(np.mean(first)), float(np.mean(last)), noise * math.sqrt(1 / len(first) + 1 / len(last))


def suggest(curve: RangeCurve) -> Suggestions:
    """The suggestions of a curve that is usable (see `unusable`).

    The recommended one is between valley and minimum/10, as their geometric mean: the valley is where the loss has
    fallen by a part, so a training of few steps is too slow there, and a tenth of the minimum is high, because the
    smoothed loss lags behind the rate. Where the valley lies behind minimum/10, that is recommended.
    """
    first = _skipped(curve)
    rates, losses = curve.rates[first:], curve.smoothed[first:]
    lowest = int(np.argmin(losses))
    rates, losses = rates[: lowest + 1], losses[: lowest + 1]  # what comes behind the minimum rises
    if len(rates) < 3:  # the loss fell in the skipped part, and at its lowest rates: all of the curve counts
        lowest = int(np.argmin(curve.smoothed))
        rates, losses = curve.rates[: lowest + 1], curve.smoothed[: lowest + 1]
    steepest = Suggestion("steepest", float(rates[_steepest(rates, losses)]), "the loss falls most quickly here")
    tenth = Suggestion("minimum/10", float(rates[-1] / 10), "a tenth of the rate at which the loss is lowest")
    valley = Suggestion("valley", float(rates[_valley(losses)]), "the middle of the longest fall of the loss")
    found = [steepest, tenth, valley]
    if valley.rate > tenth.rate:
        return Suggestions(found, tenth, "the valley is nearer to the rate at which the loss begins to rise")
    between = Suggestion("between", math.sqrt(valley.rate * tenth.rate), "the geometric mean of valley and minimum/10")
    reason = "few steps learn slowly at the valley, and minimum/10 is near to where the loss rises"
    return Suggestions([*found, between], between, reason)


def _skipped(curve: RangeCurve) -> int:
    """How many points at the beginning do not count: the smoothed loss is that of a few batches there."""
    points = len(curve.rates)
    return min(max(int(points * _SKIPPED), round(1 / (1 - curve.smoothing))), points // 4)


def _steepest(rates: Values, losses: Values) -> int:
    """Where the loss falls most per factor of the rate, over a tenth of the points, so that one batch counts little."""
    half = max(1, len(losses) // 20)
    if len(losses) <= 2 * half:
        return 0
    slopes = (losses[2 * half :] - losses[: -2 * half]) / np.log(rates[2 * half :] / rates[: -2 * half])
    return half + int(np.argmin(slopes))


def _valley(losses: Values) -> int:
    """The point half of the way down the longest falling subsequence, as fastai's `valley`."""
    count = len(losses)
    lengths = np.ones(count, np.int64)
    for end in range(1, count):
        higher = lengths[:end][losses[:end] > losses[end]]
        lengths[end] = 1 + (int(higher.max()) if len(higher) else 0)
    end = int(np.argmax(lengths))
    start = max(0, end - int(lengths[end]))
    third = (end - start) / 3
    return start + int(third) + int(third / 2)
