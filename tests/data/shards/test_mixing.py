"""Several sets of shards in one epoch, and batches of similar aspect."""

from collections import Counter

import numpy as np
import pytest
from shard_making import png, word_shards, write_tar

from ocrexp.data.batch_shares import interleaved
from ocrexp.data.shards.shard_mix import Mix
from ocrexp.data.shards.sources import RecShards
from ocrexp.errors import DataError

SETS = ["a/train-*.tar", "b/train-*.tar"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Set a has 24 samples in 4 shards, set b 10 in 2."""
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "cache"))
    for name, sizes in (("a", [6, 7, 4, 7]), ("b", [3, 7])):
        word_shards(tmp_path / name, sizes)
    word_shards(tmp_path, [2], "val")
    return tmp_path


def plan(root, *, ratios=None, samples=None, buffer=8, batch=6, epoch=0, rank=0, world_size=1, **mixing):
    """The batches of an epoch: of each, set and name of its samples."""
    source = RecShards(str(root), SETS, "val-*.tar", ratios=ratios, samples=samples, buffer=buffer)
    records = source.train_records()
    turns = mixing.pop("turns", [(None, batch)])
    sampler = records.sampler(turns, 3, True, False, rank, world_size, ratios, **mixing)
    return [
        [records.describe(index).removeprefix(f"{root}/") for index in planned.indices.tolist()]
        for planned in sampler.plan(epoch)
    ]


def flat(batches):
    return [name for batch in batches for name in batch]


def of_sets(batches):
    return [Counter(name[0] for name in batch) for batch in batches]


@pytest.mark.parametrize("shares", [[1, 2], [6, 2, 0], [0.3, 1.7, 2.0], [5], [1, 100]])
def test_any_stretch_of_a_mix_is_that_of_interleaved_lists(shares):
    whole, mix = interleaved(37, shares), Mix(shares)
    for start in range(0, len(whole), 5):
        sets, before = mix.stretch(start, min(start + 5, len(whole)))
        assert sets.tolist() == whole[start : start + 5].tolist()
        assert before.tolist() == np.bincount(whole[:start], minlength=len(shares)).tolist()
    sets, before = mix.stretch(10**9, 10**9 + len(shares))
    assert before.sum() == 10**9


def test_ratios_are_shares_of_the_sets_that_are_drawn_again(root):
    epochs = [flat(plan(root, ratios=[0.5, 2], epoch=epoch)) for epoch in range(2)]
    for names in epochs:
        counts = Counter(names)
        assert len([name for name in counts if name[0] == "a"]) == 12
        assert [count for name, count in counts.items() if name[0] == "b"] == [2] * 10
    assert set(epochs[0]) != set(epochs[1])
    assert all(0 < found["a"] < 6 for found in of_sets(plan(root, ratios=[0.5, 2]))[:-1])


@pytest.mark.parametrize(("samples", "batches"), [(None, 12), (60, 10)])
def test_each_batch_has_its_shares(root, samples, batches):
    found = plan(root, samples=samples, batch_shares=[1, 2])
    assert of_sets(found) == [Counter(a=2, b=4)] * batches
    if samples is None:  # each of the first set once, the second one again and again
        counts = Counter(flat(found))
        assert [count for name, count in counts.items() if name[0] == "a"] == [1] * 24
        assert {count for name, count in counts.items() if name[0] == "b"} == {4, 5}


@pytest.mark.parametrize("samples", [None, 50])
@pytest.mark.parametrize("by_ratio", [False, True])
def test_a_mixed_epoch_can_be_entered_anywhere_and_is_shared_by_ranks(root, samples, by_ratio):
    turns = [((32, 64), 6), ((32, 320), 6)] if by_ratio else [(None, 6)]
    keys = {"samples": samples, "batch_shares": [3, 1], "turns": turns, "by_ratio": by_ratio}
    whole = plan(root, **keys, epoch=1)
    source = RecShards(str(root), SETS, "val-*.tar", samples=samples, buffer=8)
    records = source.train_records()
    for start in (2, 4):  # a sampler that has not made what is before
        rest = records.sampler(turns, 3, True, False, 0, 1, None, [3, 1], by_ratio).plan(1)[start:]
        names = [[records.describe(i).removeprefix(f"{root}/") for i in one.indices.tolist()] for one in rest]
        assert names == whole[start:]
    ranks = [plan(root, **keys, rank=rank, world_size=2) for rank in range(2)]
    assert [len(batch) for batch in ranks[0]] == [len(batch) for batch in ranks[1]]
    if samples is None:
        firsts = [name for batches in ranks for name in flat(batches) if name[0] == "a"]
        assert len(set(firsts)) == len(firsts) == 24


def test_images_of_similar_aspect_share_a_batch(root):
    widths = np.random.default_rng(0).integers(20, 340, 40)
    write_tar(root / "wide-000.tar", [
        (f"w{i}.{suffix}", data) for i, width in enumerate(widths.tolist())
        for suffix, data in (("png", png(9, (32, width))), ("txt", b"word"))
    ])  # fmt: skip
    records = RecShards(str(root), "wide-*.tar", "val-*.tar", buffer=24).train_records()
    sizes = [(32, 320), (32, 160), (32, 80)]
    sampler = records.sampler([(size, 4) for size in sizes], 3, True, False, 0, 1, by_ratio=True)
    assert sampler.shapes() == [(size, 4) for size in sizes]
    found = list(sampler.plan(0))
    assert len(found) == len(sampler) == 10
    seen = []
    for planned in found:
        own = [int(widths[int(records.describe(index).rpartition("w")[2])]) for index in planned.indices.tolist()]
        seen += planned.indices.tolist()
        assert planned.size == next((size for size in reversed(sizes) if size[1] >= max(own)), (32, 320))
    assert len(set(seen)) == 40
    assert len({planned.size for planned in found}) == 3
    alone = records.sampler([(size, 4) for size in sizes], 3, True, False, 0, 1, by_ratio=True).plan(0)[7]
    assert alone.indices.tolist() == found[7].indices.tolist()
    assert alone.size == found[7].size


def test_what_cannot_be_mixed(root):
    with pytest.raises(ValueError, match=r"ratios.*samples=null"):
        RecShards(str(root), SETS, "val-*.tar", ratios=[1, 1], samples=10)
    with pytest.raises(ValueError, match="one value for each of the 2"):
        RecShards(str(root), SETS, "val-*.tar", ratios=[1])
    with pytest.raises(ValueError, match="both state"):
        plan(root, ratios=[1, 1], batch_shares=[1, 1])
    with pytest.raises(DataError, match="2 training shards cannot be shared by 3 processes"):
        plan(root, samples=30, batch_shares=[1, 1], world_size=3)
    assert of_sets(plan(root, samples=36, batch_shares=[1, 0], world_size=3)) == [Counter(a=6)] * 2
