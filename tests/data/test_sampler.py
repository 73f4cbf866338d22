"""The sampler: a function of seed and epoch, the same for any number of ranks."""

import numpy as np
import pytest

from ocrexp.data.sampler import EpochSampler, EvalSampler
from ocrexp.errors import DataError


def test_ranks_see_together_what_one_sees():
    one = EpochSampler([30], None, 8, seed=1)
    two = [EpochSampler([30], None, 4, seed=1, rank=rank, world_size=2) for rank in (0, 1)]
    for epoch in (0, 1):
        for whole, *parts in zip(one.batches(epoch), *(sampler.batches(epoch) for sampler in two), strict=True):
            np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_an_epoch_is_a_permutation_and_epochs_differ():
    sampler = EpochSampler([10, 7], None, 4, seed=1)
    first, second = (np.concatenate(sampler.batches(epoch)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(17))
    assert first.tolist() != second.tolist()
    assert first.tolist() == np.concatenate(EpochSampler([10, 7], None, 4, seed=1).batches(0)).tolist()
    assert first.tolist() != np.concatenate(EpochSampler([10, 7], None, 4, seed=2).batches(0)).tolist()


@pytest.mark.parametrize(
    ("drop_last", "world_size", "sizes"),
    [(False, 1, [4, 4, 3]), (True, 1, [4, 4]), (False, 2, [4, 1]), (True, 2, [4]), (False, 4, [2])],
)
def test_the_end_of_an_epoch(drop_last, world_size, sizes):
    for rank in range(world_size):
        sampler = EpochSampler([11], None, 4, 0, drop_last=drop_last, rank=rank, world_size=world_size)
        assert [len(batch) for batch in sampler.batches(0)] == sizes
        assert len(sampler) == len(sizes)


def test_ratios_draw_anew_each_epoch():
    sampler = EpochSampler([100, 10], [0.3, 2.5], 5, seed=0)
    drawn = [np.concatenate(sampler.batches(epoch)) for epoch in (0, 1)]
    for indices in drawn:
        assert len(set(indices.tolist())) == len(indices)  # repetitions are told apart
        counts = np.bincount(indices % 110, minlength=110)
        assert counts[:100].sum() == 30
        assert counts[:100].max() == 1
        assert sorted(counts[100:]) == [2] * 5 + [3] * 5
        assert sorted(np.unique(indices // 110, return_counts=True)[1]) == [5, 10, 40]
    assert set(drawn[0][drawn[0] < 100]) != set(drawn[1][drawn[1] < 100])


def test_the_order_shares_no_stream_with_a_sample():
    order = EpochSampler([50], None, 4, seed=1).order(2)
    assert order.tolist() != np.random.default_rng([1, 2, 0]).permutation(50).tolist()
    drawn_first = np.random.default_rng([1, 2, 0])
    drawn_first.permutation(50)
    assert order.tolist() != drawn_first.permutation(50).tolist()


def test_without_shuffling_in_order():
    assert np.concatenate(EpochSampler([5], None, 2, 0, shuffle=False).batches(3)).tolist() == [0, 1, 2, 3, 4]


def test_first_indices_are_those_of_the_first_epoch():
    sampler = EpochSampler([20], None, 4, seed=0)
    np.testing.assert_array_equal(sampler.first_indices(6), np.concatenate(sampler.batches(0))[:6])


def test_evaluation_skips_and_doubles_none():
    for world_size in (1, 2, 3):
        parts = [EvalSampler(11, 4, rank, world_size) for rank in range(world_size)]
        seen = [index for part in parts for batch in part.batches() for index in batch]
        assert seen == list(range(11))
        assert all(len(part) == len(part.batches()) for part in parts)


@pytest.mark.parametrize(
    ("error", "said", "arguments"),
    [
        (DataError, "lower .*batch_size", ([3], None, 8, 0, True, True)),
        (DataError, "0 training images", ([0], None, 8, 0)),
        (ValueError, "1 training lists, got 2", ([3], [1, 1], 2, 0)),
        (ValueError, "batch_size", ([3], None, 0, 0)),
        (ValueError, "shares of 0 or more", ([3], [-1], 1, 0)),
    ],
)
def test_impossible_epochs_are_refused(error, said, arguments):
    with pytest.raises(error, match=said):
        EpochSampler(*arguments)


def test_fewer_images_than_processes_name_the_number_of_devices():
    with pytest.raises(DataError) as caught:
        EpochSampler([1], None, 4, 0, world_size=2)
    assert "trainer.devices" in str(caught.value) and "batch_size" not in str(caught.value)
