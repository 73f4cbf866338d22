"""The key that the metric depends on is found, also among texts, and what is noise is within its uncertainty of 0."""

import numpy as np

from ocrexp.report.importance import importances


def grid(seed: int, noise: float = 0.01):
    generator = np.random.default_rng(seed)
    rows, metric = [], []
    for lr in (1e-4, 3e-4, 1e-3, 3e-3):
        for model in ("crnn", "svtr"):
            for batch in (4, 8, 16):
                rows.append([lr, model, batch])
                best = 0.9 - 0.1 * np.log10(lr / 1e-3) ** 2 - (0.08 if model == "crnn" else 0)
                metric.append(best + noise * generator.standard_normal())
    return rows, metric


def test_what_matters_is_found() -> None:
    for seed in range(3):
        found = importances(["optim.lr", "model", "loader.batch_size"], *grid(seed), seed=seed)
        assert found is not None
        keys, explained = found
        assert keys[-1].key == "loader.batch_size"
        by_key = {one.key: one for one in keys}
        assert by_key["loader.batch_size"].share < 0.1 < 0.25 < min(by_key["optim.lr"].share, by_key["model"].share)
        assert all(0 < one.deviation < 0.5 for one in keys[:2])
        assert explained > 0.6


def test_noise_is_not_explained() -> None:
    rows, _ = grid(0)
    metric = np.random.default_rng(1).random(len(rows)).tolist()
    found = importances(["optim.lr", "model", "loader.batch_size"], rows, metric)
    assert found is not None and found[1] < 0.2
    assert all(one.share < 3 * one.deviation + 0.1 for one in found[0])


def test_too_few_runs_and_equal_metrics_show_nothing() -> None:
    rows, metric = grid(0)
    assert importances(["a", "b", "c"], rows[:5], metric[:5]) is None
    assert importances(["a", "b", "c"], rows, [0.5] * len(rows)) is None
    assert importances([], [[]] * 10, metric[:10]) is None


def test_missing_and_mixed_values() -> None:
    rows = [[None if i % 3 else "x", float(i % 2) if i % 4 else None] for i in range(20)]
    found = importances(["a", "b"], rows, [float(i % 3 == 0) for i in range(20)])
    assert found is not None and found[0][0].key == "a"
