"""The watch names each kind of bad course with its step, and is silent about healthy runs."""

from collections.abc import Callable

import numpy as np
import pytest

from ocrexp.report.watch import watch

STEPS = np.arange(10.0, 1001.0, 10.0)  # of training losses
EVALS = np.arange(100.0, 1001.0, 100.0)
COSINE = 1e-3 * (1 + np.cos(np.pi * STEPS / 1000)) / 2


def falling(at: np.ndarray, first: float, last: float, pace: float = 200.0) -> np.ndarray:
    return last + (first - last) * np.exp(-at / pace)


def run(
    generator: np.random.Generator, train: np.ndarray, val: np.ndarray, metric: np.ndarray, rate=COSINE, noise=0.08
):
    """Curves with the noise of batches, and of a validation set of some hundred images."""
    return {
        "train/loss": (STEPS, train * np.exp(noise * generator.standard_normal(len(STEPS)))),
        "val/loss": (EVALS, val * np.exp(0.01 * generator.standard_normal(len(EVALS)))),
        "val/accuracy": (EVALS, np.clip(metric + 0.006 * generator.standard_normal(len(EVALS)), 0, 1)),
        "train/lr": (STEPS, rate),
    }


def healthy(generator):
    return run(generator, falling(STEPS, 6, 0.4), falling(EVALS, 6, 0.6), 0.9 - falling(EVALS, 0.9, 0.0))


def healthy_noisy_batches(generator):
    return run(generator, falling(STEPS, 6, 0.4), falling(EVALS, 6, 0.6), 0.9 - falling(EVALS, 0.9, 0.0), noise=0.35)


def healthy_fine_tuning(generator):
    """It starts well, and gains little."""
    return run(generator, falling(STEPS, 0.5, 0.2), falling(EVALS, 0.6, 0.45), 0.92 - falling(EVALS, 0.05, 0.0, 400))


def healthy_confident(generator):
    """The validation loss rises a little, as errors become surer, and the metric still improves."""
    val = falling(EVALS, 6, 0.5, 100) + 0.25 * np.clip(EVALS - 500, 0, None) / 500
    return run(generator, falling(STEPS, 6, 0.1), val, 0.7 + 0.2 * EVALS / 1000)


def healthy_augmented(generator):
    """The training loss is above the validation loss, because augmented images are harder."""
    return run(generator, falling(STEPS, 3, 1.2), falling(EVALS, 3, 0.7), 0.85 - falling(EVALS, 0.85, 0.0))


def healthy_done_early(generator):
    """All is learned after a third, and the metric is near 1."""
    return run(generator, falling(STEPS, 6, 0.02, 80), falling(EVALS, 6, 0.05, 80), 0.985 - falling(EVALS, 0.9, 0, 80))


def healthy_falling_rate(generator):
    """The metric stays, as the learning rate has fallen to 0."""
    rate = 1e-3 * np.where(STEPS < 400, 1.0, 0.01)
    return run(
        generator, falling(STEPS, 6, 0.5, 120), falling(EVALS, 6, 0.6, 80), 0.85 - falling(EVALS, 0.85, 0, 60), rate
    )


def healthy_perfect(generator):
    """All of the validation set is right, and the training loss falls to nothing."""
    return run(generator, falling(STEPS, 6, 1e-4, 60), falling(EVALS, 6, 0.06, 60), np.full(len(EVALS), 1.0))


def diverging(generator):
    up = np.where(STEPS > 600, 5 * (1 - np.exp(-(STEPS - 600) / 80)), 0)
    late = np.where(EVALS > 600, 1.0, 0.0)
    metric = (0.8 - falling(EVALS, 0.8, 0.0)) * (1 - late)
    return run(generator, falling(STEPS, 6, 0.5) + up, falling(EVALS, 6, 0.7) + 4 * late, metric)


def overfitting(generator):
    val = falling(EVALS, 6, 0.6, 80) + 1.5 * np.clip(EVALS - 400, 0, None) / 600
    return run(generator, falling(STEPS, 6, 0.02, 150), val, 0.75 - falling(EVALS, 0.75, 0, 80))


def memorizing(generator):
    """The validation loss stands far above the training loss."""
    return run(
        generator, falling(STEPS, 6, 0.01, 200), falling(EVALS, 6, 1.5, 80), 0.7 - falling(EVALS, 0.7, 0, 80),
        np.full(len(STEPS), 1e-3),
    )  # fmt: skip


def memorizing_at_once(generator):
    """The validation loss has not moved since the first evaluation."""
    return run(
        generator, falling(STEPS, 6, 0.001, 100), np.full(len(EVALS), 1.5), np.full(len(EVALS), 0.6),
        np.full(len(STEPS), 1e-3),
    )  # fmt: skip


def oscillating_metric(generator):
    metric = np.where(np.arange(len(EVALS)) % 2, 0.35, 0.75)
    return run(generator, falling(STEPS, 6, 0.8), falling(EVALS, 6, 1.0), metric)


def oscillating_loss(generator):
    train = 2 + 1.8 * np.sign(np.sin(STEPS * 0.9))
    return run(generator, train, np.full(len(EVALS), 2.0), np.full(len(EVALS), 0.3))


def rising_and_swinging(generator):
    """The rate is far too high: the loss is above its start from the first steps on."""
    train = np.where(STEPS < 60, 2.0, 5 * np.exp(0.4 * generator.standard_normal(len(STEPS))))
    return run(generator, train, np.full(len(EVALS), 4.0), 0.2 + 0.03 * generator.standard_normal(len(EVALS)), COSINE)


def learning_nothing(generator):
    return run(generator, falling(STEPS, 6, 5.8), falling(EVALS, 6, 5.8), np.full(len(EVALS), 0.01))


def ending_too_early(generator):
    metric = 0.6 * np.clip((EVALS - 300) / 700, 0, 1)
    return run(generator, falling(STEPS, 6, 0.5, 700), falling(EVALS, 6, 0.6, 700), metric)


def standing_still(generator):
    rate = np.full(len(STEPS), 1e-3)
    return run(
        generator, falling(STEPS, 6, 1.5, 60), falling(EVALS, 6, 1.6, 60), 0.6 - falling(EVALS, 0.6, 0, 60), rate
    )


HEALTHY = (
    healthy, healthy_noisy_batches, healthy_fine_tuning, healthy_confident, healthy_augmented, healthy_done_early,
    healthy_falling_rate, healthy_perfect,
)  # fmt: skip
BAD = {
    diverging: ("divergence", 400, 650, "optim.lr"),
    overfitting: ("overfitting", 200, 500, "augmentation"),
    memorizing: ("overfitting", 300, 700, "augmentation"),
    memorizing_at_once: ("overfitting", 300, 700, "augmentation"),
    rising_and_swinging: ("oscillation", 400, 600, "optim.lr"),
    oscillating_metric: ("oscillation", 300, 500, "optim.lr"),
    oscillating_loss: ("oscillation", 400, 600, "optim.lr"),
    learning_nothing: ("underfitting", 0, 20, "optim.lr"),
    ending_too_early: ("underfitting", 500, 800, "trainer.max_epochs"),
    standing_still: ("plateau", 100, 400, "scheduler"),
}


@pytest.mark.parametrize("curves", HEALTHY, ids=lambda one: one.__name__)
def test_no_alarm_on_a_healthy_run(curves: Callable) -> None:
    found = [watch(curves(np.random.default_rng(seed)), "accuracy") for seed in range(40)]
    assert [one.line for one in found if one] == []


@pytest.mark.parametrize("curves", BAD, ids=lambda one: one.__name__)
def test_each_kind_is_named_with_its_step_and_advice(curves: Callable) -> None:
    kind, first, last, advice = BAD[curves]
    seen = [watch(curves(np.random.default_rng(seed)), "accuracy") for seed in range(40)]
    assert sum(found is None for found in seen) <= 4  # of curves that noise hides
    for found in filter(None, seen):
        assert found.kind == kind
        assert first <= found.since <= last
        assert found.line.startswith(f"{kind} since step {found.since}: ")
        assert advice in found.line and "\n" not in found.line


def test_a_loss_that_has_exploded_before_it_is_logged_is_a_divergence() -> None:
    steps = np.arange(10.0, 310.0, 10.0)
    series = {
        "train/loss": (steps, np.full(30, 4e3)),
        "val/loss": (np.array([0.0, 100, 200, 300]), np.array([1.9, 4e3, 4e3, 4e3])),
        "val/accuracy": (np.array([0.0, 100, 200, 300]), np.array([0.7, 0, 0, 0])),
    }
    found = watch(series, "accuracy")
    assert found is not None and found.kind == "divergence" and found.since == 10
    assert "1.9 before training" in found.line and "lower optim.lr" in found.line
    series["train/loss"] = (steps, np.full(30, 4.0))
    found = watch(series, "accuracy")
    assert found is not None and found.kind != "divergence"


def test_a_loss_that_is_not_finite_is_a_divergence() -> None:
    values = falling(STEPS, 6, 0.5)
    values[70:] = np.nan
    found = watch({"train/loss": (STEPS, values)}, "accuracy")
    assert found is not None and (found.kind, found.since) == ("divergence", 710)


@pytest.mark.parametrize("points", [0, 1, 2, 3])
def test_short_runs_and_missing_columns_show_nothing(points: int) -> None:
    generator = np.random.default_rng(1)
    for name in ("train/loss", "val/loss", "val/accuracy"):
        assert watch({name: (STEPS[:points], generator.random(points))}, "accuracy") is None
    short = {name: (at[:points], values[:points]) for name, (at, values) in overfitting(generator).items()}
    assert watch(short, "accuracy") is None
