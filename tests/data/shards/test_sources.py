"""Shards as a data source: order, ranks, workers, resuming, what is rejected, and what is evaluated."""

import json
import tracemalloc
from itertools import pairwise

import cv2
import numpy as np
import pytest
from shard_making import page_members, png, word_shards, write_tar

from ocrexp.assemble.data_plan import make_data_plan
from ocrexp.config.compose import compose
from ocrexp.data.checking.check import check_dataset
from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.images import read_image
from ocrexp.data.loaders import build_eval_loader, build_train_loader
from ocrexp.data.records import some_records
from ocrexp.data.shards.names import expand_braces
from ocrexp.data.shards.sources import DetShards, InMemory, RecShards
from ocrexp.data.variants import TrainVariants, first_turns
from ocrexp.errors import DataError
from ocrexp.tasks.find import find_task
from ocrexp.types import UnusableSample

NODE = {"eval_batch_size": 3, "num_workers": 0, "prefetch": 2, "drop_last": False}
SIZES = [7, 1, 12, 5, 9]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "cache"))
    word_shards(tmp_path, SIZES)
    word_shards(tmp_path, [4, 3], "val")
    return tmp_path


def words(
    source, batch_size=4, rank=0, world_size=1, epoch=0, start=0, shuffle=True, workers=0, seed=5, multi_scale=None
):
    """The texts of each batch, a random number of each sample, and its gray (the height with `multi_scale`)."""

    def collate(samples, empty):
        return [
            (sample["texts"][0], sample["drawn"], sample["size"][0] if multi_scale else int(sample["image"][0, 0, 0]))
            for sample in samples
        ]

    loader = build_train_loader(
        TrainPipeline(source.train_records(), [draw_number], seed), collate=collate,
        several_sizes=True, ratios=None, seed=seed, rank=rank, world_size=world_size, batch_size=batch_size,
        shuffle=shuffle, multi_scale=multi_scale, **{**NODE, "num_workers": workers},
    )  # fmt: skip
    try:
        return list(loader.epoch(epoch, start)), loader.rejection_lines()
    finally:
        loader.close()


def draw_number(sample, rng):
    sample["drawn"] = int(rng.integers(1 << 30))
    return sample


def flat(batches):
    return [word for batch in batches for word in batch]


@pytest.mark.parametrize("samples", [None, 30, 100])
def test_an_epoch_can_be_entered_at_any_batch_by_any_number_of_workers(root, samples):
    def source():  # a new one each time, as a resumed run has
        return RecShards(str(root), "train-*.tar", "val-*.tar", samples=samples, buffer=6)

    whole, rejected = words(source(), epoch=1)
    assert not rejected
    for start in (1, 4, 7):
        assert words(source(), epoch=1, start=start)[0] == whole[start:]
    assert words(source(), epoch=1, start=3, workers=2)[0] == whole[3:]
    assert words(source(), epoch=0)[0] != whole
    read = flat(whole)
    assert len(read) == (samples or sum(SIZES))
    assert all(int(text[1:]) == gray for text, _, gray in read)  # each image with its own label
    counts = np.unique([text for text, _, _ in read], return_counts=True)[1]
    assert len(counts) == min(samples or 99, sum(SIZES)) or samples == 30
    assert counts.max() - counts.min() <= 1
    assert len({drawn for _, drawn, _ in read}) == len(read)  # also where a sample comes again


@pytest.mark.parametrize("samples", [None, 30])
def test_ranks_share_an_epoch(root, samples):
    source = RecShards(str(root), "train-*.tar", "val-*.tar", samples=samples, buffer=6)
    parts = [flat(words(source, rank=rank, world_size=3)[0]) for rank in range(3)]
    assert {len(part) for part in parts} == {(samples or sum(SIZES)) // 3}
    texts = [text for part in parts for text, _, _ in part]
    if samples is None:  # 34 samples: one is left over
        assert len(set(texts)) == len(texts) == 33
    else:
        assert not {t for t, *_ in parts[0]} & {t for t, *_ in parts[1]}  # each has shards of its own
    with pytest.raises(DataError, match="5 training shards cannot be shared by 6 processes"):
        words(RecShards(str(root), "train-*.tar", "val-*.tar", samples=30), world_size=6)


def test_batches_of_several_sizes_take_turns_and_can_be_entered_anywhere(root):
    scale = {"sizes": [[32, 64], [16, 64], [64, 64]], "by_ratio": False, "fix_batch": False}

    def read(**keys):  # a new source each time, as a resumed run has
        source = RecShards(str(root), "train-*.tar", "val-*.tar", buffer=6)
        return words(source, multi_scale=scale, epoch=1, **keys)[0]

    whole = read()
    assert [len(batch) for batch in whole] == [4, 8, 2, 4, 8, 2, 4, 2]  # of 34; the last one is incomplete
    heights = [{height for _, _, height in batch} for batch in whole]
    assert heights == [{32}, {16}, {64}, {32}, {16}, {64}, {32}, {16}]
    assert len({text for text, *_ in flat(whole)}) == sum(SIZES)
    for start in (1, 5):
        assert read(start=start) == whole[start:]
    ranks = [read(rank=rank, world_size=2, batch_size=2) for rank in range(2)]
    assert [len(a) + len(b) for a, b in zip(*ranks, strict=True)] == [4, 8, 2, 4, 8, 2, 4, 2]
    assert len({text for rank in ranks for text, *_ in flat(rank)}) == sum(SIZES)


def test_a_share_of_the_shards_is_kept_for_validation(root, tmp_path_factory):
    def texts(folder, **keys):
        source = RecShards(str(folder), "train-*.tar", None, **{"val_split": 0.4, **keys})
        return [[record.texts[0] for record in found()] for found in (source.train_records, source.val_records)]

    train, val = texts(root)
    assert {*train} | {*val} == {f"w{i}" for i in range(sum(SIZES))} and not {*train} & {*val}
    ends = np.cumsum(SIZES)
    assert len({int(np.searchsorted(ends, int(text[1:]), "right")) for text in val}) == 2
    elsewhere = tmp_path_factory.mktemp("other")
    word_shards(elsewhere, SIZES)
    assert texts(elsewhere) == [train, val] != texts(elsewhere, val_split_seed=1)
    with pytest.raises(ValueError, match=r"val_split and val=val-\*.tar are both given"):
        RecShards(str(root), "train-*.tar", "val-*.tar", val_split=0.4)
    assert RecShards(str(elsewhere), "train-*.tar", "val-*.tar", val_split=0.4).parts.keys() == {"train"}
    with pytest.raises(DataError, match="one training shard"):
        RecShards(str(root), "train-000.tar", None, val_split=0.4).val_records()
    with pytest.raises(DataError, match=r"5 shards are in one group .*split by shard"):
        RecShards(str(root), "train-*.tar", None, val_split=0.4, val_split_by="folder").val_records()


def test_samples_that_are_looked_at_have_the_random_numbers_of_training(root):
    for samples in (None, 60):
        source = RecShards(str(root), "train-*.tar", "val-*.tar", samples=samples, buffer=6)
        seen = {(text, drawn) for text, drawn, _ in flat(words(source, epoch=2)[0])}
        listed = InMemory(source)
        loader = build_train_loader(
            TrainPipeline(source.train_records(), [draw_number], 5), collate=lambda *_: None, several_sizes=True,
            ratios=None, seed=5, rank=0, world_size=1, batch_size=4, shuffle=True, **NODE,
        )  # fmt: skip
        variants = TrainVariants(loader.pipeline, loader.sampler, listed.indices)
        indices = np.concatenate([planned.indices for planned in loader.sampler.plan(2)])
        assert set(first_turns(loader.pipeline, indices).tolist()) <= set(listed.indices.tolist())  # as debug=samples
        for place, record in enumerate(listed.train_records()):
            turn = variants.turn(place, 2)
            assert turn.used and (record.texts[0], variants.sample(turn, 2)["drawn"]) in seen


def test_without_shuffling_the_order_is_that_of_the_files(root):
    source = RecShards(str(root), ["train-{000,001}.tar", "train-00{2..4}.tar"], "val-*.tar", buffer=6)
    assert [text for text, _, _ in flat(words(source, shuffle=False)[0])] == [f"w{i}" for i in range(sum(SIZES))]


def test_the_buffer_mixes_shards(root):
    near = RecShards(str(root), "train-*.tar", "val-*.tar", buffer=1)
    far = RecShards(str(root), "train-*.tar", "val-*.tar", buffer=1000)

    def jumps(source):
        numbers = [int(text[1:]) for text, _, _ in flat(words(source)[0])]
        return sum(abs(a - b) > 1 for a, b in pairwise(numbers))

    assert jumps(near) == len(SIZES) - 1 - sum(  # one at each change of shards, unless they follow each other
        a + 1 == b for a, b in zip(_order(near), _order(near)[1:], strict=False)
    )  # fmt: skip
    assert jumps(far) > 25


def _order(source):
    texts = [text for text, _, _ in flat(words(source)[0])]
    ends = np.cumsum(SIZES)
    return list(dict.fromkeys(int(np.searchsorted(ends, int(text[1:]), "right")) for text in texts))


def test_counts_are_kept_and_not_trusted_for_changed_files(root, monkeypatch):
    source = RecShards(str(root), "train-*.tar", "val-*.tar")
    assert len(source.train_records()) == sum(SIZES)
    monkeypatch.setattr("ocrexp.data.shards.shard_files._Shards._read_index", lambda *_: pytest.fail("was read again"))
    again = RecShards(str(root), "train-*.tar", "val-*.tar")
    assert len(again.train_records()) == sum(SIZES)
    assert again.split_fingerprint("train") == source.split_fingerprint("train")
    monkeypatch.undo()
    monkeypatch.setenv("OCREXP_CACHE", str(root / "cache"))
    word_shards(root, [*SIZES[:-1], 2])
    changed = RecShards(str(root), "train-*.tar", "val-*.tar")
    assert len(changed.train_records()) == sum(SIZES) - 7
    assert changed.split_fingerprint("train") != source.split_fingerprint("train")
    for file in (root / "cache" / "shards" / "counts").iterdir():
        file.write_text('{"a": 3')
    assert len(RecShards(str(root), "train-*.tar", "val-*.tar").train_records()) == sum(SIZES) - 7


def test_what_cannot_be_used_is_counted_with_its_place(root):
    bad = write_tar(
        root / "bad-0.tar",
        [
            ("a.png", png(1)), ("a.txt", b"good"), ("b.png", png(1)), ("c.txt", b"alone"), ("d.png", b"no image"),
            ("d.txt", b"x"), ("e.png", png(1)), ("e.txt", b"\xff\xfe"), ("f.png", png(1)), ("f.json", b'{"text": 3}'),
            ("g.png", png(1)), ("g.txt", b"two\nlines"), ("h.png", png(1)), ("h.json", b'{"text": "json"}'),
            ("i.png", png(1)), ("i.txt", b" \n"), ("l.png", png(1)), ("l.txt", b"a\ttab"),
        ],
    )  # fmt: skip
    cut = write_tar(
        root / "bad-1.tar", [("j.png", png(1)), ("j.txt", b"whole"), ("k.png", bytes(5000)), ("k.txt", b"y")]
    )
    cut.write_bytes(cut.read_bytes()[:4000])
    source = RecShards(str(root), "bad-*.tar", "bad-*.tar")
    batches, lines = words(source)
    assert sorted(text for text, _, _ in flat(batches)) == ["a\ttab", "good", "json", "whole"]
    for reason, key in (
        ("sample without a label", "b"), ("sample without an image", "c"), ("image file cannot be decoded", "d"),
        ("label: not UTF-8", "e"), ('label: JSON without "text"', "f"), ("label: several lines", "g"),
        ("label: the label of … is empty", "i"),
    ):  # fmt: skip
        assert f"1 image not used: {reason}: {bad}: {key}" in lines
    assert len(lines) == 7
    report = source.split_report("train")
    damage = f"{cut}: byte 2560: is truncated in 'k.png', which has 5000 bytes"
    assert any(damage in line for line in report)
    # In evaluation a sample without an image counts as nothing read, as a missing image of a list does.
    assert [record.texts[0] for record in source.val_records()] == ["good", "alone", "x", "json", "a\ttab", "whole"]
    report = "\n".join(source.split_report("val"))
    assert damage in report
    assert f"val: 1 label: not UTF-8, skipped: {bad}: e" in report
    assert f"val: 1 missing image(s) counted as images in which nothing was read: {bad}: c" in report


def test_evaluation_has_each_sample_once_over_the_ranks(root):
    source = RecShards(str(root), "train-*.tar", "val-*.tar")
    found = []
    for rank in range(3):
        loader = build_eval_loader(
            EvalPipeline(source.val_records(), []), collate=lambda samples, empty: [s["texts"][0] for s in samples],
            rank=rank, world_size=3, batch_size=1, shuffle=False, **NODE,
        )  # fmt: skip
        found += flat(loader.epoch(0))
    assert sorted(found) == [f"w{i}" for i in range(7)]


def test_pages_have_the_regions_of_lists(root):
    square = {"transcription": "word", "points": [[4, 4], [40, 4], [40, 20], [4, 20]]}
    hard = {**square, "difficult": True}
    line = {**square, "points": [[1, 1], [5, 5], [9, 9]]}
    write_tar(
        root / "pages.tar",
        [
            *page_members("0", [square, hard, line]),
            ("1.png", png(9, (64, 96))), ("1.txt", b"4,4,40,4,40,20,4,20,a,b\n1,1,9,1,9,9,1,9,###\n"),
            ("2.png", png(9, (64, 96))), ("2.json", json.dumps([square]).encode()),
            *page_members("3", [{"points": [[0, 0]]}]),
        ],
    )  # fmt: skip
    source = DetShards(str(root), "pages.tar", "pages.tar")
    records, remark = some_records(source.train_records())
    assert [record.texts for record in records] == [("word", "###"), ("a,b", "###"), ("word",)]
    assert [record.ignored for record in records] == [(False, True), (False, True), (False,)]
    assert "only the first 3 samples" in remark
    assert "val: 1 region(s) without area dropped" in "\n".join(source.split_report("val"))
    pipeline = TrainPipeline(source.train_records(), [], 0)
    sampler = source.train_records().sampler([(None, 1)], 0, False, False, 0, 1)
    first = pipeline.sample(int(sampler.plan(0)[0].indices[0]), 0)
    assert first["counts"] == {"regions labeled": 2, "regions without area": 1}
    assert "1 region(s) without area dropped" in "\n".join(
        find_task("det").count_lines("train", _counts(first["counts"]))
    )
    other = first["others"](np.random.default_rng(0))  # for copying words from one page to another
    assert other["image"].shape == (64, 96, 3)


def _counts(counts):
    from ocrexp.types import SampleCount

    return {name: SampleCount(number, 0, "here") for name, number in counts.items() if number}


def test_check_data_names_shard_and_member(root):
    bad = [("a.png", png(1)), ("a.txt", b"good"), ("b.png", png(1)), ("c.txt", b"x"), ("d.png", b"?"), ("d.txt", b"y")]
    write_tar(root / "train-000.tar", [*bad, ("notes.md", b""), ("e.png", png(9)), ("e.txt", b"\xff")])
    cut = root / "train-004.tar"
    cut.write_bytes(cut.read_bytes()[:3000])
    config = compose("train", ["model=crnn_mbv3", "dataset=rec_shards", f"dataset.root={root}", "charset=en94"])
    plan = make_data_plan(config)
    plan.workers = 1
    findings = check_dataset(plan)
    found = {
        (problem.kind.name, str(problem.place).removeprefix(f"{root}/"), problem.what) for problem in findings.problems
    }
    assert {
        ("shard-sample", "train-000.tar: b", "sample without a label"),
        ("shard-sample", "train-000.tar: e", "label: not UTF-8"),
        ("image-missing", "train-000.tar: c", "the sample has no image"),
        ("shard-member", "train-000.tar: notes.md", "sample without image and label"),
    } < found
    assert any(kind == "shard-damaged" and place.startswith("train-004.tar: byte ") for kind, place, _ in found)
    assert any(kind == "image-corrupt" and place == "train-000.tar: d" for kind, place, _ in found)
    assert findings.facts["val images"] == 7


def test_images_have_paths_that_are_read_but_never_opened(root, tmp_path):
    path = root / "val-000.tar" / "00002.png"
    assert read_image(path)[0, 0].tolist() == [2, 2, 2]
    for name in ("00009.png", "../secret.png", "../../etc/passwd"):
        with pytest.raises(UnusableSample, match="missing"):
            read_image(root / "val-000.tar" / name)
    folder = tmp_path / "photos.tar"  # a folder may have such a name
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((4, 4, 3), 7, np.uint8))
    assert read_image(folder / "a.png")[0, 0].tolist() == [7, 7, 7]


def test_memory_does_not_grow_with_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr("ocrexp.data.shards.shard_files._SAMPLES_KEPT", 60)
    [first] = word_shards(tmp_path, [30])
    for number in range(1, 40):
        (tmp_path / f"train-{number:03d}.tar").hardlink_to(first)
    source = RecShards(
        str(tmp_path), "train-*.tar", "train-000.tar", samples=1_000, buffer=60, cache_dir=tmp_path / "c"
    )
    plan = source.train_records().sampler([(None, 10)], 0, True, False, 0, 1).plan(0)
    sizes = []
    tracemalloc.start()
    try:
        for number in range(len(plan)):
            _ = plan[number].indices
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # 800 samples of 27 shards lie between: a shard that has been counted takes about 2 kB, its samples more than 12 kB.
    assert max(sizes[60:]) - max(sizes[10:20]) < 100_000


def test_names_and_what_is_wrong_with_them(root):
    assert expand_braces("a-{08..10}-{x,y}.tar") == [f"a-{n}-{c}.tar" for n in ("08", "09", "10") for c in "xy"]
    with pytest.raises(ValueError, match="more than 1000000 names"):
        expand_braces("{0..9999999}")
    for train, reason in (
        ("none-*.tar", "there is no shard of this name"), ("val-009.tar", "there is no shard"),
        ("x.tar.gz", "is compressed"), ("empty.tar", "have no sample"),
    ):  # fmt: skip
        (root / "x.tar.gz").touch()
        write_tar(root / "empty.tar", [])
        with pytest.raises(DataError, match=reason):
            RecShards(str(root), train, "val-*.tar").train_records()
    for name, value in (("samples", 0), ("buffer", 0), ("cache_gb", 0)):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            RecShards(str(root), "a", "b", **{name: value})
    source = RecShards(str(root), "train-*.tar", "val-*.tar")
    by_ratio = {"sizes": [[32, 32]], "by_ratio": True, "fix_batch": False}
    for name, value, reason in (
        ("batch_shares", [1, 2], "one number for each of the 1 training lists"),
        ("multi_scale", by_ratio, "set fix_batch=true"),
    ):
        with pytest.raises(ValueError, match=f"{name}.*: .*{reason}"):
            build_train_loader(
                TrainPipeline(source.train_records(), [], 0), collate=find_task("rec").collate_train,
                several_sizes=True, ratios=None, seed=0, rank=0, world_size=1, batch_size=2, shuffle=True, **NODE,
                **{name: value},
            )  # fmt: skip
