"""Batches with a fixed share of each list: exact in each batch, for any ranks, entered anywhere in an epoch."""

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.config.compose import compose
from ocrexp.data.batch_shares import BatchShareSampler, MultiScaleShareSampler, interleaved
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.loader import Loader
from ocrexp.data.loaders import build_train_loader
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.sampler import Indices
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.errors import DataError
from ocrexp.tasks.find import find_task

SIZES = [[48, 192], [48, 64], [48, 128], [48, 320]]
FIRST, SECOND = 300, 40
RECORDS = FIRST + SECOND


def aspects() -> np.ndarray:
    """Long lines in the first list, words in the second."""
    rng = np.random.default_rng(0)
    return np.concatenate([np.exp(rng.normal(1.2, 0.6, FIRST)), np.exp(rng.normal(0.6, 0.4, SECOND))])


def plain(**more: Any) -> BatchShareSampler:
    return BatchShareSampler(**{"list_sizes": [FIRST, SECOND], "shares": [6, 2], "batch_size": 8, "seed": 1, **more})


def by_ratio(**more: Any) -> MultiScaleShareSampler:
    settings = {"list_sizes": [FIRST, SECOND], "aspects": aspects(), "shares": [6, 2], "sizes": SIZES}
    return MultiScaleShareSampler(**{**settings, "batch_size": 8, "seed": 1, "fix_batch": True, **more})


def in_turns(**more: Any) -> MultiScaleShareSampler:
    return by_ratio(**{"aspects": None, **more})


KINDS = {"plain": plain, "by_ratio": by_ratio, "in_turns": in_turns}


def of_second(indices: Indices) -> int:
    return int((indices % RECORDS >= FIRST).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_each_batch_has_its_share_of_each_list(kind: str) -> None:
    sampler = KINDS[kind]()
    for epoch in range(3):
        plan = sampler.plan(epoch)
        assert len(plan) == len(sampler) == 50
        assert all((len(planned.indices), of_second(planned.indices)) == (8, 2) for planned in plan)
        everything = np.concatenate([planned.indices for planned in plan])
        assert sorted(everything[everything % RECORDS < FIRST]) == list(range(FIRST))  # the first list, once
        assert len(set(everything.tolist())) == len(everything)  # repetitions have random numbers of their own
        replayed = np.bincount(everything % RECORDS, minlength=RECORDS)[FIRST:]
        assert replayed.sum() == 100
        assert replayed.max() == 3 or kind == "by_ratio"  # 100 images of a list of 40: all twice, half of them again


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_list_gives_other_images_in_each_epoch(kind: str) -> None:
    rng = np.random.default_rng(3)
    long: dict[str, Any] = {"list_sizes": [60, 400], "shares": [3, 1]}
    if kind == "by_ratio":
        long["aspects"] = np.exp(rng.normal(1.0, 0.6, 460))
    sampler = KINDS[kind](**long)
    first, second = (np.concatenate(sampler.batches(epoch)) for epoch in (0, 1))
    assert len(set(first % 460)) == len(first) == 80  # no image twice
    assert set(first[first >= 60]) != set(second[second >= 60])
    assert first.tolist() == np.concatenate(KINDS[kind](**long).batches(0)).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_see_together_what_one_sees_and_each_has_its_share(kind: str, world_size: int) -> None:
    whole = KINDS[kind](batch_size=16).plan(1)
    ranks = [KINDS[kind](batch_size=16 // world_size, rank=r, world_size=world_size).plan(1) for r in range(world_size)]
    for one, *parts in zip(whole, *ranks, strict=True):
        assert one.indices.tolist() == np.concatenate([part.indices for part in parts]).tolist()
        assert {part.size for part in parts} == {one.size}
        if len(one.indices) == 16:
            assert {of_second(part.indices) for part in parts} == {4 // world_size}


def test_images_of_like_aspect_share_a_batch() -> None:
    """Each image fits into its batch's width, but those that are longer than the widest."""
    shapes = aspects()
    for planned in by_ratio().plan(0):
        assert planned.size is not None
        widest = planned.size[1] / planned.size[0]
        assert (np.minimum(shapes[planned.indices % RECORDS], 320 / 48) <= widest).all()


def test_where_a_list_has_only_longer_lines_they_are_taken() -> None:
    sampler = by_ratio(list_sizes=[48, 10], aspects=np.repeat([1.0, 6.0], [48, 10]))
    assert all(int((planned.indices % 58 >= 48).sum()) == 2 for planned in sampler.plan(0))


@pytest.mark.parametrize("fix_batch", [True, False])
def test_batches_of_other_sizes_keep_the_shares_within_one_image(fix_batch: bool) -> None:
    for planned in by_ratio(batch_size=32, fix_batch=fix_batch).plan(0):
        assert abs(of_second(planned.indices) - len(planned.indices) / 4) <= 1


def test_shares_that_do_not_fill_whole_images_are_kept_over_several_batches() -> None:
    batches = plain(shares=[0.7, 0.3]).batches(0)
    counts = [of_second(batch) for batch in batches if len(batch) == 8]
    assert set(counts) == {2, 3}
    assert sum(counts) == pytest.approx(0.3 * 8 * len(counts), abs=1)


def test_an_epoch_ends_with_the_first_list() -> None:
    for first, shares in ((7, [1, 1, 2]), (100, [0.9, 0.1]), (5, [1, 0]), (1, [1, 9])):
        lists = interleaved(first, shares)
        counts = np.bincount(lists, minlength=len(shares))
        assert counts[0] == first
        np.testing.assert_allclose(counts / first, np.array(shares) / shares[0], atol=0.51 / first)


def test_a_list_without_a_share_is_not_used() -> None:
    assert max(np.concatenate(plain(shares=[1, 0]).batches(0))) < FIRST


def test_without_shuffling_the_lists_stay_in_their_order() -> None:
    order = plain(shuffle=False).order(0)
    assert order[order < FIRST].tolist() == list(range(FIRST))


@pytest.mark.parametrize(("shares", "sizes", "parts"), [
    ([1, 1], [5], ["one number for each of the 1", "got 2"]),
    ([1], [5, 5], ["one number for each of the 2"]),
    ([0, 1], [5, 5], ["above 0 for the first"]),
    ([1, -1], [5, 5], ["0 or more", "-1"]),
    ([1, float("nan")], [5, 5], ["nan"]),
    ([1, 1], [5, 0], ["list 2 has no usable image"]),
])  # fmt: skip
def test_shares_that_cannot_be_are_named(shares: list[float], sizes: list[int], parts: list[str]) -> None:
    with pytest.raises(ValueError, match="batch_shares") as raised:
        BatchShareSampler(sizes, shares, 4, 0)
    assert all(part in str(raised.value) for part in parts)


@pytest.fixture
def receipts(tmp_path: Path) -> Path:
    """Two data sets in folders of their own, each with image paths relative to its own folder."""
    for name, count in (("receipts", 9), ("photos", 5)):
        (tmp_path / name / "train").mkdir(parents=True)
        lines = []
        for i in range(count):
            cv2.imwrite(str(tmp_path / name / "train" / f"{i}.png"), np.full((8, 16 + 4 * i, 3), i, np.uint8))
            lines.append(f"train/{i}.png\t{name} {i}\n")
        (tmp_path / name / "train_list.txt").write_text("".join(lines))
    return tmp_path / "receipts"


def noisy(sample: Any, rng: np.random.Generator) -> Any:
    sample["length"] = int(rng.integers(1 << 30))
    return sample


def loader_of(root: Path, *overrides: str, workers: int = 0) -> Loader:
    node = compose("train", ["model=crnn_mbv3", "loader.batch_size=4", *overrides]).loader
    source = RecLists(root, ["train_list.txt", str(root.parent / "photos" / "train_list.txt")], "train_list.txt")
    pipeline = TrainPipeline(source.train_records(), [noisy, RecResize([8, 48])], 5)
    facts: dict[str, Any] = {**node, "num_workers": workers, "collate": find_task("rec").collate_train}
    return build_train_loader(pipeline, several_sizes=True, ratios=None, seed=5, rank=0, world_size=1, **facts)


@pytest.mark.parametrize("scale", [[], ["loader=multi_scale", "loader.multi_scale={sizes: [[8,16],[8,48]], "
                                        "by_ratio: true, fix_batch: true}"]])  # fmt: skip
def test_a_configuration_mixes_lists_of_two_folders_and_an_epoch_is_entered_anywhere(
    receipts: Path, scale: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ocrexp.data.batch_shares"):
        loader = loader_of(receipts, *scale, "loader.batch_shares=[3,1]")
    assert "list 2: 1 of 4 images in each batch, 3 per epoch (0.6 of the list)" in caplog.text
    whole = [(batch["index"].tolist(), batch["length"].tolist()) for batch in loader.epoch(2)]
    assert [sum(index >= 9 for index in indices) for indices, _ in whole] == [1, 1, 1]
    resumed = loader_of(receipts, *scale, "loader.batch_shares=[3,1]", workers=1)
    rest = [(batch["index"].tolist(), batch["length"].tolist()) for batch in resumed.epoch(2, start=1)]
    resumed.close()
    assert rest == whole[1:]
    paths = {str(loader.pipeline.records[index].image_path) for indices, _ in whole for index in indices}  # type: ignore[attr-defined]
    assert all(Path(path).exists() for path in paths)


def test_shares_and_ratios_contradict_each_other(receipts: Path) -> None:
    source = RecLists(receipts, ["train_list.txt", "../photos/train_list.txt"], "train_list.txt")
    node: dict[str, Any] = dict(compose("train", ["model=crnn_mbv3", "loader.batch_shares=[3,1]"]).loader)
    with pytest.raises(ValueError, match=r"batch_shares: \[3.*ratios=\[1, 1\]"):
        build_train_loader(
            TrainPipeline(source.train_records(), [], 0), collate=find_task("rec").collate_train, several_sizes=True,
            ratios=[1, 1], seed=0, rank=0, world_size=1, **node,
        )  # fmt: skip


def test_a_list_of_another_folder_whose_images_are_nowhere_is_named(receipts: Path) -> None:
    (receipts.parent / "photos" / "train").rename(receipts.parent / "photos" / "moved")
    (receipts / "train").rename(receipts / "moved")
    with pytest.raises(DataError, match="receipts"):
        RecLists(receipts, ["train_list.txt", "../photos/train_list.txt"], "train_list.txt").train_records()
