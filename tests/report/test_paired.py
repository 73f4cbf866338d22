"""The paired test against values worked out in another way: exact binomials, and runs that are equally good."""

from math import comb

import numpy as np
import pytest

from ocrexp.report.paired import averaged, counts_of, holm, matched, paired_rows, paired_test


def accuracy(right: np.ndarray) -> np.ndarray:
    return np.stack([right, np.ones(len(right))], axis=1).astype(float)


def sign_test(gained: int, lost: int) -> float:
    """Two-sided binomial test of McNemar: what the permutations of single hits come to."""
    count = gained + lost
    far = abs(gained - lost)
    return sum(comb(count, k) for k in range(count + 1) if abs(2 * k - count) >= far) / 2**count


@pytest.mark.parametrize(("gained", "lost"), [(1, 0), (5, 0), (7, 1), (4, 4), (12, 1), (30, 12), (60, 20)])
def test_accuracy_is_tested_as_by_mcnemar(gained: int, lost: int) -> None:
    first, second = np.zeros(300), np.zeros(300)
    first[: 100 + lost] = 1
    second[lost : 100 + lost + gained] = 1
    result = paired_test(accuracy(first), accuracy(second))
    assert result is not None
    assert (result.gained, result.lost, result.images) == (gained, lost, 300)
    assert result.difference == pytest.approx((gained - lost) / 300)
    assert result.p == pytest.approx(sign_test(gained, lost), rel=0.12, abs=0.002)
    assert result.low <= result.difference <= result.high


def test_hmean_is_tested_on_counts() -> None:
    """Against all swaps, of 8 pages, and the value is 2 · matched / (references + predictions) of all pages."""
    generator = np.random.default_rng(2)
    of = generator.integers(8, 20, (2, 8))
    hits = generator.integers(2, 8, (2, 8))
    first, second = (np.stack([hits[i], of[i]], axis=1).astype(float) for i in (0, 1))
    result = paired_test(first, second)
    assert result is not None
    real = second[:, 0].sum() / second[:, 1].sum() - first[:, 0].sum() / first[:, 1].sum()
    extreme = 0
    for swap in range(2**8):
        swapped = np.array([swap >> i & 1 for i in range(8)], bool)[:, None]
        a, b = np.where(swapped, second, first).sum(axis=0), np.where(swapped, first, second).sum(axis=0)
        extreme += abs(b[0] / b[1] - a[0] / a[1]) >= abs(real) - 1e-12
    assert result.difference == pytest.approx(real)
    assert result.p == pytest.approx(extreme / 2**8)


def test_equally_good_runs_are_told_apart_rarely_and_others_often() -> None:
    generator = np.random.default_rng(5)
    found = {0.0: 0, 0.1: 0}
    for better in found:
        for _ in range(60):
            easy = generator.random(200)
            first, second = (accuracy(easy < p + 0.1 * generator.standard_normal(200)) for p in (0.7, 0.7 + better))
            result = paired_test(first, second)
            found[better] += result is not None and result.p < 0.05
    assert found[0.0] <= 8  # of 60; 3 are expected
    assert found[0.1] >= 50


def test_nothing_to_compare() -> None:
    assert paired_test(np.zeros((0, 2)), np.zeros((0, 2))) is None
    same = paired_test(accuracy(np.ones(4)), accuracy(np.ones(4)))
    assert same is not None and (same.p, same.difference, same.gained) == (1.0, 0.0, 0)


def test_images_are_matched_by_path_and_by_name_where_folders_differ() -> None:
    rows = [{"path": f"/a/{name}.png", "hits": i, "of": 4} for i, name in enumerate("xyyz")]
    other = [{"path": f"/b/{name}.png", "hits": 4, "of": 4} for name in "zyx"]
    first, second = matched(counts_of(rows), counts_of(other))
    assert first[:, 0].tolist() == [0, 1, 3] and second.shape == (3, 2)  # the second line of y has no partner
    ours, theirs = paired_rows(rows, other)[0]
    assert (ours["path"], theirs["path"]) == ("/a/x.png", "/b/x.png")
    assert matched(counts_of(rows), {})[0].shape == (0, 2)


def test_seeds_are_averaged_over_common_images() -> None:
    one, two = ({("a", 0): (1.0, 1.0), ("b", 0): (0.0, 1.0)}, {("b", 0): (1.0, 1.0), ("c", 0): (1.0, 1.0)})
    assert averaged([one, two]) == {("b", 0): (0.5, 1.0)}
    assert averaged([]) == {}


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
