"""Batches of several sizes: none lost or doubled, the same for any ranks, pixels about constant."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.image_size import read_aspects, read_size
from ocrexp.data.loader import Loader
from ocrexp.data.loaders import build_train_loader
from ocrexp.data.multi_scale import MultiScaleSampler
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.errors import DataError
from ocrexp.tasks.find import find_task
from ocrexp.types import Record

SIZES = [[48, 320], [32, 320], [64, 320]]
RATIO_SIZES = [[h, w] for h in (48, 32) for w in (256, 128, 64)]


def make(count=500, aspects=None, ratios=None, sizes=SIZES, batch_size=32, seed=1, **more):
    counts = [count] if isinstance(count, int) else count
    return MultiScaleSampler(counts, aspects, ratios, sizes, batch_size, seed, **more)


def random_aspects(count=500):
    return np.exp(np.random.default_rng(0).normal(1.0, 0.7, count))


def by_ratio(**more):
    return make(aspects=random_aspects(), sizes=RATIO_SIZES, **more)


SAMPLERS = {"turns": make, "by_ratio": by_ratio}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_no_sample_is_lost_or_doubled(kind):
    sampler = SAMPLERS[kind]()
    for epoch in range(3):
        plan = sampler.plan(epoch)
        assert len(plan) == len(sampler)
        assert sorted(np.concatenate([planned.indices for planned in plan])) == list(range(500))
        full = dict(sampler.shapes())
        incomplete = [planned for planned in plan if len(planned.indices) != full[planned.size]]
        assert len(incomplete) <= 1
    assert sampler.plan(0)[0].indices.tolist() != sampler.plan(1)[0].indices.tolist()


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("total", [8, 32, 64])
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_see_together_what_one_sees(kind, total, world_size):
    one = SAMPLERS[kind](batch_size=total)
    many = [
        SAMPLERS[kind](batch_size=total // world_size, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    for epoch in (0, 1):
        for whole, *parts in zip(one.plan(epoch), *(sampler.plan(epoch) for sampler in many), strict=True):
            assert {part.size for part in parts} == {whole.size}
            assert len({len(part.indices) for part in parts}) == 1
            np.testing.assert_array_equal(whole.indices, np.concatenate([part.indices for part in parts]))


@pytest.mark.parametrize("kind", SAMPLERS)
def test_pixels_of_a_batch_stay_about_constant(kind):
    sampler = SAMPLERS[kind](batch_size=64)
    height, width = sampler.sizes[0]
    for (h, w), count in sampler.shapes():
        assert 0.7 < count * h * w / (64 * height * width) <= 1


def test_fixed_batches():
    assert {count for _, count in make(fix_batch=True).shapes()} == {32}


def test_the_sizes_take_turns():
    sizes = Counter(planned.size for planned in make(2000).plan(0))
    assert set(sizes) == {(48, 320), (32, 320), (64, 320)}
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_a_batch_is_as_wide_as_its_images():
    aspects = random_aspects()
    sampler = by_ratio(batch_size=8)
    widest = {32: 256, 48: 256}
    narrow = 0
    for planned in sampler.plan(0):
        height, width = planned.size
        longest = aspects[planned.indices].max()
        assert longest <= width / height or width == widest[height]
        narrow += width < widest[height]
    assert narrow >= len(sampler) / 3
    # Only the few that a narrower batch had no room for are in a wider one than they need.
    padded = sum((aspects[p.indices] * p.size[0] <= p.size[1] / 2).sum() for p in sampler.plan(0) if p.size[1] > 64)
    assert padded < 0.25 * 500


def test_every_epoch_has_the_same_batches_where_lists_are_drawn():
    """A schedule counts steps: shares of lists are drawn evenly over the aspects."""
    sampler = make([400, 100], random_aspects(), [0.3, 1.5], RATIO_SIZES)
    first = Counter(planned.size for planned in sampler.plan(0))
    seen = []
    for epoch in range(5):
        plan = sampler.plan(epoch)
        assert Counter(planned.size for planned in plan) == first
        indices = np.concatenate([planned.indices for planned in plan])
        assert len(set(indices.tolist())) == len(indices) == 270
        assert (indices % 500 < 400).sum() == 120
        counts = np.bincount(indices % 500, minlength=500)
        assert counts[:400].max() == 1
        assert set(counts[400:]) == {1, 2}
        seen.append(frozenset(indices.tolist()))
    assert len(set(seen)) == 5


def test_images_of_unknown_size_are_kept():
    aspects = random_aspects()
    aspects[:50] = np.nan
    plan = make(aspects=aspects, sizes=RATIO_SIZES).plan(0)
    assert sorted(np.concatenate([planned.indices for planned in plan])) == list(range(500))


def test_the_end_of_an_epoch():
    last = make(101, sizes=[[32, 100]], batch_size=10, shuffle=False).plan(0)[-1]
    assert last.indices.tolist() == [100]
    assert len(make(101, sizes=[[32, 100]], batch_size=10, drop_last=True)) == 10
    two = [make(101, sizes=[[32, 100]], batch_size=5, rank=rank, world_size=2) for rank in (0, 1)]
    assert sum(len(p.indices) for s in two for p in s.plan(0)) == 100


@pytest.mark.parametrize(
    ("error", "said", "more"),
    [
        (ValueError, r"multi_scale\.sizes: expected .*, got \[\]", {"sizes": []}),
        (ValueError, r"expected \[\[height, width\].*got \[\[32\]\]", {"sizes": [[32]]}),
        (ValueError, r"\[\[32, 0\]\]", {"sizes": [[32, 0]]}),
        (ValueError, "batch_size", {"batch_size": 0}),
        (ValueError, "1 training lists, got 2", {"ratios": [1, 1]}),
        (DataError, "lower .*batch_size", {"count": 5, "drop_last": True}),
    ],
)
def test_what_cannot_be_is_refused(error, said, more):
    with pytest.raises(error, match=said):
        make(**more)


@pytest.fixture
def words(tmp_path):
    records = []
    for i in range(60):
        path = tmp_path / f"{i}.{'jpg' if i % 2 else 'png'}"
        cv2.imwrite(str(path), np.full((20, 20 + 5 * i, 3), i, np.uint8))
        records.append(Record(path, ("word",), source=f"list.txt:{i + 1}"))
    return records


@pytest.mark.parametrize("workers", [0, 2])
def test_the_size_reaches_the_resize(words, workers, monkeypatch):
    overflows = []
    monkeypatch.setattr("ocrexp.data.loader.log.warning", lambda *line: overflows.append(line))
    pipeline = TrainPipeline(words, [RecResize([48, 96])], seed=0)

    def loader() -> Loader:
        return build_train_loader(
            pipeline, collate=find_task("rec").collate_train, several_sizes=True,
            ratios=None, seed=3, rank=0, world_size=1, batch_size=2, eval_batch_size=1,
            num_workers=workers, prefetch=2, shuffle=True, drop_last=False,
            multi_scale={"sizes": RATIO_SIZES, "by_ratio": True, "fix_batch": False},
        )  # fmt: skip

    whole = loader()
    assert whole.sampler.sizes == [tuple(size) for size in RATIO_SIZES]
    batches = [(batch["image"].copy(), batch["valid_width"].copy()) for batch in whole.epoch(2)]
    assert [image.shape[1:3] for image, _ in batches] == [planned.size for planned in whole.sampler.plan(2)]
    assert len({image.shape[1:3] for image, _ in batches}) > 2
    for image, valid in batches:
        assert valid.max() <= image.shape[2]
    assert sum(len(image) for image, _ in batches) == 60
    entered = loader()  # as a resumed run enters it
    for (image, _), batch in zip(batches[3:], entered.epoch(2, start=3), strict=True):
        np.testing.assert_array_equal(image, batch["image"])
    whole.close()
    entered.close()
    assert not overflows


def test_images_drawn_anew_have_no_ratio_to_sort_by(words):
    drawn = [replace(record, draw=lambda epoch: (b"", ("word",))) for record in words]
    with pytest.raises(ValueError, match=r"by_ratio=true: .* set by_ratio=false, or endless=false"):
        build_train_loader(
            TrainPipeline(drawn, [], 0), collate=find_task("rec").collate_train, several_sizes=True,
            ratios=None, seed=3, rank=0, world_size=1, batch_size=2,
            eval_batch_size=1, num_workers=0, prefetch=2, shuffle=True, drop_last=False,
            multi_scale={"sizes": RATIO_SIZES, "by_ratio": True, "fix_batch": False},
        )  # fmt: skip


def test_sizes_from_headers(tmp_path, monkeypatch):
    image = np.zeros((20, 50, 3), np.uint8)
    for name in ("a.png", "b.jpg", "c.bmp"):
        cv2.imwrite(str(tmp_path / name), image)
    turned = (tmp_path / "b.jpg").read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (tmp_path / "turned.jpg").write_bytes(
        turned[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + turned[2:]
    )
    (tmp_path / "empty.png").write_bytes(b"")
    names = ["a.png", "b.jpg", "c.bmp", "turned.jpg", "empty.png", "gone.png"]
    expected = [(20, 50), (20, 50), (20, 50), (50, 20), None, None]
    assert [read_size(tmp_path / name) for name in names] == expected
    np.testing.assert_array_equal(
        read_aspects([tmp_path / name for name in names]), [2.5, 2.5, 2.5, 0.4, np.nan, np.nan]
    )
    monkeypatch.setattr(cv2, "imdecode", None)
    assert read_size(tmp_path / "a.png") == read_size(tmp_path / "b.jpg") == (20, 50)  # not decoded


def test_sizes_of_real_images_are_those_of_the_pixels(real_data):
    paths = sorted((real_data / "icdar2015_rec" / "val").iterdir())[:50]
    for path in paths:
        assert read_size(path) == cv2.imread(str(path)).shape[:2]
