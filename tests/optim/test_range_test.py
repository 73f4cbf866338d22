"""Suggestions of a range test: of curves whose minimum is known, of noisy ones, and none of flat ones."""

import numpy as np
import pytest

from ocrexp.optim.range_test import LINEAR, Ramp, RangeCurve, Smoothed, suggest, unusable


def curve(ramp: Ramp, loss, beta: float = 0.9, noise: float = 0.0, seed: int = 0, until: float = np.inf) -> RangeCurve:
    """The curve of `loss(rate)`, ended where the rate is above `until`."""
    rates = np.array([ramp(step) for step in range(ramp.steps)])
    rates = rates[rates <= until]
    losses = loss(rates) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(rates)))
    mean = Smoothed(beta)
    return RangeCurve(rates, losses, np.array([mean.add(value) for value in losses]), beta)


def learning(rates: np.ndarray) -> np.ndarray:
    """4 until 1e-4, falls to 1 around 1e-2, and rises from there."""
    fallen = 3 / (1 + (1e-3 / rates) ** 1.5)
    return 4 - fallen + 0.3 * (rates / 0.02) ** 2


RAMP = Ramp(1e-6, 1.0, 120)


def test_a_ramp_has_equal_factors_or_equal_distances() -> None:
    rates = np.array([Ramp(1e-5, 1e-1, 41)(step) for step in range(41)])
    np.testing.assert_allclose(rates[1:] / rates[:-1], 10**0.1)
    assert (rates[0], rates[-1]) == (1e-5, pytest.approx(1e-1))
    rates = np.array([Ramp(0.1, 0.5, 41, LINEAR)(step) for step in range(41)])
    np.testing.assert_allclose(np.diff(rates), 0.01)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ((0.0, 1.0, 50), "start"), ((1e-3, 1e-4, 50), "end"), ((1e-3, float("inf"), 50), "end"),
        ((1e-5, 1.0, 5), "steps"), ((1e-5, 1.0, 50, "cosine"), "mode"),
    ],
)  # fmt: skip
def test_values_that_make_no_ramp_are_named(values: tuple, key: str) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: expected "):
        Ramp(*values)


def test_the_smoothed_loss_is_corrected_for_its_start() -> None:
    mean = Smoothed(0.98)
    assert [mean.add(3.0) for _ in range(3)] == pytest.approx([3.0, 3.0, 3.0])
    assert mean.add(103.0) == pytest.approx(3 + 100 * 0.02 / (1 - 0.98**4))
    assert [Smoothed(0.0).add(value) for value in (1.0, 5.0)] == [1.0, 5.0]
    with pytest.raises(ValueError, match=r"^smoothing: "):
        Smoothed(1.0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_suggestions_lie_on_the_fall_and_the_recommended_one_before_the_rise(noise: float, seed: int) -> None:
    found = curve(RAMP, learning, noise=noise, seed=seed, until=0.3)
    assert unusable(found) is None
    by_name = {one.name: one.rate for one in suggest(found).all}
    assert {"steepest", "minimum/10", "valley"} <= by_name.keys()
    assert 1e-4 < by_name["valley"] < 1e-2
    assert 4e-4 < by_name["minimum/10"] < 6e-3  # the minimum is at 8e-3; a smoothed curve has it later
    assert 2e-4 < by_name["steepest"] < 2e-2
    assert suggest(found).recommended.rate <= by_name["minimum/10"]


def test_the_valley_of_fastai() -> None:
    """As fastai's `valley` gives it: the longest fall has 7 points, up to index 7; a half of it is taken in thirds."""
    losses = np.array([5.0, 6.0, 5.5, 5.0, 4.0, 3.0, 2.0, 1.0, 3.0, 4.0])
    from ocrexp.optim.range_test import _valley

    assert _valley(losses) == 3


def test_the_first_batches_are_no_suggestion() -> None:
    """A hard first batch lets the smoothed loss fall at the lowest rates."""
    found = curve(Ramp(1e-7, 1.0, 60), learning)
    losses = found.losses + np.array([4.0, 3.0, 2.0, 1.0, *[0.0] * 56])
    mean = Smoothed(0.9)
    rated = suggest(RangeCurve(found.rates, losses, np.array([mean.add(value) for value in losses]), 0.9))
    assert all(one.rate > 1e-4 for one in rated.all)
    assert rated.recommended.name == "between"


def test_a_tenth_of_the_minimum_is_recommended_where_the_valley_is_behind_it() -> None:
    late = curve(RAMP, lambda rates: np.where(rates < 2e-3, 4.0, np.where(rates < 4e-2, 1.0, 9.0)), beta=0.8)
    found = suggest(late)
    assert found.recommended.name == "minimum/10"
    assert next(one.rate for one in found.all if one.name == "valley") > found.recommended.rate


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_a_flat_curve_suggests_nothing(noise: float) -> None:
    for seed in range(10):
        why = unusable(curve(RAMP, lambda rates: np.full(len(rates), 2.0), noise=noise, seed=seed))
        assert why is not None and why.startswith("the loss has not fallen beyond its noise: from ") and "\n" not in why
    rising = unusable(curve(RAMP, lambda rates: 2 + 100 * rates, noise=0.01))
    assert rising is not None and "rates=[" in rising


def test_too_few_points_suggest_nothing() -> None:
    found = curve(RAMP, learning, until=1e-6 * 1.5)
    why = unusable(RangeCurve(found.rates, found.losses, found.smoothed, 0.9, "the loss is not finite"))
    assert why == (
        "the test has 4 of the 12 points that a suggestion needs (the loss is not finite); lower start, or raise steps"
    )
