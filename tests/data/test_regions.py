"""Regions that teach nothing: which ones, why, how many, and where the first one is, for any number of workers."""

import time

import cv2
import numpy as np
import pytest

from ocrexp.augment.warp import RandomWarpCrop
from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.loader import Loader
from ocrexp.data.loaders import build_eval_loader
from ocrexp.data.regions import (
    LABELED,
    LEGIBLE,
    MOSTLY_OUTSIDE,
    OUTSIDE,
    SMALL,
    VANISHED,
    beyond_image,
    count_lines,
    crosses,
    crossing_lines,
)
from ocrexp.data.sample_counts import SampleCount, add_counts, add_sample, sum_counts
from ocrexp.data.sampler import EpochSampler
from ocrexp.data.targets.db import DBTargets
from ocrexp.data.transforms.resize import DetResize
from ocrexp.data.val_targets import TargetsBeside
from ocrexp.tasks.find import find_task
from ocrexp.types import Record

HEIGHT, WIDTH = 60, 100
NODE = {"batch_size": 2, "eval_batch_size": 2, "prefetch": 2, "shuffle": False, "drop_last": False}


def polygon(*points):
    return np.array(points, np.float32)


def box(x, y, right, bottom):
    return polygon((x, y), (right, y), (right, bottom), (x, bottom))


GOOD = box(10, 10, 80, 40)
BOW_TIE = polygon((10, 10), (80, 40), (80, 10), (10, 40))
UNEVEN_BOW_TIE = polygon((10, 10), (80, 40), (80, 10), (10, 20))
SPIKE = polygon((10, 10), (80, 10), (80, 40), (80, 10), (10, 40))
ARROW = polygon((0, 0), (50, 20), (0, 40), (20, 20))  # concave, and sound
STAR = polygon(*[(50 + 30 * np.sin(turn), 30 + 20 * np.cos(turn)) for turn in np.arange(5) * 4 * np.pi / 5])


def test_which_polygons_cross_themselves():
    triangle, line = GOOD[:3], polygon((0, 0), (5, 5))
    polygons = [GOOD, BOW_TIE, UNEVEN_BOW_TIE, ARROW, SPIKE, STAR, triangle, GOOD[::-1], line]
    assert crosses(polygons).tolist() == [False, True, True, False, True, True, False, False, True]
    assert crosses([]).tolist() == []


@pytest.mark.parametrize("points", range(3, 9))
def test_the_short_way_for_quadrilaterals_finds_what_shapely_finds(points):
    import shapely

    shapes = np.random.default_rng(points).integers(0, 12, (400, points, 2)).astype(np.float32)
    assert crosses(list(shapes)).tolist() == [not shapely.is_valid(shapely.Polygon(each)) for each in shapes]


def test_the_line_of_crossing_regions():
    records = [
        Record("a.jpg", ("w",) * 2, (GOOD, GOOD), source="l.txt:1"),
        Record("b.jpg", ("w",) * 3, (GOOD, BOW_TIE, STAR), source="l.txt:2"),
        Record("c.jpg", ("w",), (BOW_TIE,), source="l.txt:3"),
        Record("d.jpg", (), source="l.txt:4"),
    ]
    (line,) = crossing_lines("train", records)
    assert line.startswith("train: 3 of 6 regions cross themselves (points not in order), the first at l.txt:2;")
    assert crossing_lines("val", records[:1]) == crossing_lines("val", []) == []
    assert find_task("det").record_lines("train", records) == [line]
    assert find_task("rec").record_lines("train", records) == []


def test_many_regions_take_little_time():
    records = [Record("a.jpg", ("w",) * 10, (GOOD,) * 9 + (ARROW,), source=f"l.txt:{i}") for i in range(20_000)]
    began = time.process_time()
    assert crossing_lines("train", records) == []
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("region", "outside", "mostly"),
    [
        (GOOD, 0, 0),
        (box(-10, 10, 80, 40), 0, 0),
        (box(90, 10, 112, 40), 0, 1),
        (box(100, 10, 120, 40), 1, 0),
        (box(10, -40, 30, -1), 1, 0),
        (box(-60, -60, 59, 20), 0, 1),
        (box(-500, -500, 900, 900), 0, 1),
    ],
)
def test_regions_beyond_their_image(region, outside, mostly):
    counts = beyond_image([GOOD, region], HEIGHT, WIDTH)
    assert counts[LABELED] == 2
    assert (counts.get(OUTSIDE, 0), counts.get(MOSTLY_OUTSIDE, 0)) == (outside, mostly)
    assert beyond_image([], HEIGHT, WIDTH) == {}


def test_counts_keep_the_first_place_in_any_order():
    parts = [{"a": SampleCount(1, 7, "seven")}, {"a": SampleCount(2, 3, "three"), "b": SampleCount(1, 9, "nine")}]
    expected = {"a": SampleCount(3, 3, "three"), "b": SampleCount(1, 9, "nine")}
    assert sum_counts(parts) == sum_counts(parts[::-1]) == expected
    add_sample(expected, {"a": 0, "b": 4}, 1, "one")
    assert expected["b"] == SampleCount(5, 1, "one") and expected["a"].count == 3
    add_counts(expected, {})
    assert parts[0] == {"a": SampleCount(1, 7, "seven")}


@pytest.fixture
def records(tmp_path):
    """Eight images, each with a good region; those from the third on have another one."""
    others = {2: box(120, 10, 140, 40), 3: box(90, 5, 130, 40), 4: box(10, 45, 90, 49), 5: box(200, 0, 300, 40)}
    result = []
    for index in range(8):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
        polygons = (GOOD, others[index]) if index in others else (GOOD,)
        texts = ("w",) * len(polygons)
        result.append(Record(path, texts, polygons, (False,) * len(polygons), f"l.txt:{index + 1}"))
    return result


@pytest.mark.parametrize("workers", [0, 2])
def test_counts_come_from_the_workers(records, workers):
    warp = RandomWarpCrop((WIDTH, HEIGHT), 0.0, (0, 0), (1, 1), "whole")
    pipeline = TrainPipeline(records, [warp, DBTargets()], 0)
    loader = Loader(pipeline, EpochSampler([8], None, 3, 5), workers, find_task("det").collate_train)
    try:
        for epoch in range(2):  # each epoch counts for itself
            assert sum(len(batch["index"]) for batch in loader.epoch(epoch)) == 8
            found = {name: (count.count, count.where.partition(" ")[2]) for name, count in loader.counts.items()}
            assert found == {
                LABELED: (12, "(l.txt:1)"),
                OUTSIDE: (2, "(l.txt:3)"),
                MOSTLY_OUTSIDE: (1, "(l.txt:4)"),
                LEGIBLE: (10, "(l.txt:1)"),
                SMALL: (1, "(l.txt:5)"),
            }
        outside, mostly, small = count_lines("train", loader.counts)
        assert outside.startswith("train: 2 of 12 regions ") and "outside their image" in outside
        assert "EXIF" in outside and "2.png (l.txt:3)" in outside
        assert mostly.startswith("train: 1 of 12 regions ") and "more than half" in mostly
        assert small.startswith("train: 1 of 10 regions") and "targets.min_text_size" in small
    finally:
        loader.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_evaluation_counts_too_and_not_what_is_lost_in_crops(records, workers):
    pipeline = EvalPipeline(records, [DetResize(64, "max"), TargetsBeside(DBTargets())])
    loader = build_eval_loader(
        pipeline, collate=find_task("det").collate_eval, rank=0, world_size=1, **NODE, num_workers=workers
    )
    try:
        batches = list(loader.epoch(0))
        assert {name: count.count for name, count in loader.counts.items()} == {
            LABELED: 12,
            OUTSIDE: 2,
            MOSTLY_OUTSIDE: 1,
        }
        assert set(batches[0][0]["targets"]) == {"shrink_map", "shrink_mask", "threshold_map", "threshold_mask"}
    finally:
        loader.close()


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (box(10, 10, 60, 40), None),
        (box(10, 10, 60, 16), SMALL),
        (polygon((2, 2), (60, 60), (60.4, 60), (2.4, 2)), VANISHED),  # thinner than a pixel
        (BOW_TIE, None),  # known from the label
        (box(-30, 10, 4, 40), None),  # the crop cuts it
        (box(300, 10, 340, 40), None),
    ],
)
def test_why_a_region_is_lost_in_the_maps(region, reason):
    sample = {
        "image": np.zeros((64, 64, 3), np.uint8),
        "polygons": [region, region],
        "ignored": np.array([False, True]),
        "texts": ["a", "###"],
    }
    counts = DBTargets()(sample, np.random.default_rng(0))["counts"]
    assert counts == {LEGIBLE: 1} | ({reason: 1} if reason else {})


def test_recognition_has_nothing_to_count(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    sample = TrainPipeline([Record(tmp_path / "a.png", ("w",))], [], 0).sample(0, 0)
    assert sample["counts"] == {}
    assert find_task("rec").count_lines("train", {}) == []


def test_crossing_regions_of_a_list_are_those_of_its_records(tmp_path):
    """Lines of convex quadrilaterals are not parsed again; the result is the same."""
    import json

    from ocrexp.data.lists import DetLists

    square, tie = [[0, 0], [9, 0], [9, 9], [0, 9]], [[0, 0], [9, 9], [9, 0], [0, 9]]
    hexagon, legacy = [[0, 0], [5, 1], [9, 0], [9, 9], [5, 8], [0, 9]], "0,0,9,9,9,0,0,9,x"
    shapes = [[square], [square, tie], [hexagon], [], [square[::-1], square], [tie]]
    lines = [json.dumps([{"transcription": "a", "points": points} for points in shape]) for shape in shapes]
    (tmp_path / "a.png").touch()
    (tmp_path / "list.txt").write_text("".join(f"a.png\t{line}\n" for line in [*lines, legacy]))
    records = DetLists(tmp_path, "list.txt", "list.txt").train_records()
    (line,) = crossing_lines("train", records)
    assert line.startswith(
        f"train: 3 of 8 regions cross themselves (points not in order), the first at {tmp_path}/list.txt:2"
    )
    assert crossing_lines("train", list(records)) == [line]
