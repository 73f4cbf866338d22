"""Words pasted from other images."""

import cv2
import numpy as np
import pytest

from ocrexp.augment.copy_paste import CopyPaste
from ocrexp.augment.geometry import boxes_of
from ocrexp.data.dataset import TrainPipeline
from ocrexp.types import Record


def sample(words, value, size=(200, 300), ignored=()):
    image = np.full((*size, 3), 20, np.uint8)
    polygons = []
    for x, y, w, h in words:
        image[y : y + h, x : x + w] = value
        polygons.append(np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32))
    return {
        "image": image,
        "polygons": polygons,
        "texts": [f"{value}" for _ in words],
        "ignored": np.array([i in ignored for i in range(len(words))], bool),
    }


def paste(transform, seed=0, other=None, **kwargs):
    start = sample([(10, 10, 80, 30)], 100, **kwargs)
    start["others"] = lambda rng: other or sample([(50, 50, 60, 20), (150, 50, 60, 20)], 240)
    return transform(start, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_pasted_words_lie_on_free_places_and_under_their_polygon(seed):
    result = paste(CopyPaste(objects_paste_ratio=1.0), seed)
    assert result["texts"] == ["100", "240", "240"]
    assert not result["ignored"].any()
    boxes = boxes_of(result["polygons"])
    for i in range(3):
        for j in range(i):
            overlap = np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])
            assert overlap.min() <= 0
    bright = (result["image"][..., 0] > 180).astype(np.uint8)
    area = sum(cv2.contourArea(polygon) for polygon in result["polygons"][1:])
    assert abs(int(bright.sum()) - area) < 0.12 * area
    under = np.zeros_like(bright)
    for polygon in result["polygons"][1:]:
        cv2.fillPoly(under, [np.round(polygon).astype(np.int32)], 1)
    assert np.count_nonzero(bright & ~under) < 0.05 * area


def test_share_of_the_words():
    words = [(10 + 30 * i, 50, 20, 10) for i in range(9)]
    other = sample([*words, (200, 150, 20, 10)], 240, ignored=range(9))
    assert len(paste(CopyPaste(0.2), other=other)["polygons"]) == 2  # two of ten asked, one is legible
    other = sample(words, 240)
    assert len(paste(CopyPaste(0.5), other=other)["polygons"]) == 1 + 4
    other = sample(words, 240, ignored=range(9))
    assert len(paste(CopyPaste(0.5), other=other)["polygons"]) == 1


def test_what_does_not_fit_is_not_pasted():
    result = paste(CopyPaste(1.0), size=(50, 100))
    assert len(result["polygons"]) == 1
    full = paste(CopyPaste(1.0, scale=(10, 10)))
    assert len(full["polygons"]) == 1


def test_pasted_over_words_are_ignored():
    covered = 0
    for seed in range(30):
        result = paste(CopyPaste(1.0, limit_paste=False), seed, size=(60, 110))
        covered += int(result["ignored"][0])
    assert covered > 5


def test_probability():
    assert len(paste(CopyPaste(p=0))["polygons"]) == 1


def test_words_of_other_records_through_the_pipeline(tmp_path):
    records = []
    for i, value in enumerate((100, 240)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), sample([(50, 50, 60, 20)], value)["image"])
        polygon = np.array([[50, 50], [110, 50], [110, 70], [50, 70]], np.float32)
        records.append(Record(tmp_path / f"{i}.png", (str(value),), (polygon,), (False,)))
    pipeline = TrainPipeline(records, [CopyPaste()], seed=0)
    first, again = pipeline.sample(0, 3), pipeline.sample(0, 3)
    assert first["texts"] == ["100", "240"]
    np.testing.assert_array_equal(first["image"], again["image"])
    assert not np.array_equal(first["image"], pipeline.sample(0, 4)["image"])


def test_wrong_values_are_refused():
    for values in ({"objects_paste_ratio": 0}, {"p": 2}, {"scale": (2, 1)}):
        with pytest.raises(ValueError):
            CopyPaste(**values)
