"""A sample that is looked at has the pixels that training sees."""

import cv2
import numpy as np
import pytest

from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.loader import Loader
from ocrexp.data.multi_scale import MultiScaleSampler
from ocrexp.data.sampler import EpochSampler
from ocrexp.data.variants import TrainVariants
from ocrexp.types import Record


def noisy(sample, rng):
    height, width = sample.get("size", (8, 12))
    image = cv2.resize(sample["image"], (width, height))
    sample["image"] = cv2.add(image, rng.integers(0, 50, image.shape, dtype=np.uint8))
    return sample


def stacked(samples, empty):
    return {"index": [sample["index"] for sample in samples], "image": [sample["image"] for sample in samples]}


@pytest.mark.parametrize("several", [False, True])
def test_pixels_are_those_of_the_training_batches(tmp_path, several):
    records = []
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((10, 20, 3), 20 * number, np.uint8))
        records.append(Record(tmp_path / f"{number}.png", ("a",)))
    pipeline = TrainPipeline(records, [noisy], 7)
    if several:
        sampler = MultiScaleSampler([9], None, None, [[8, 12], [4, 12], [8, 24]], 4, 7, fix_batch=True)
    else:
        sampler = EpochSampler([5, 4], [2.0, 0.5], 4, 7)
    variants = TrainVariants(pipeline, sampler)
    epoch = 3
    trained: dict[int, list[np.ndarray]] = {}
    for batch in Loader(pipeline, sampler, 0, stacked).epoch(epoch):
        for index, image in zip(batch["index"], batch["image"], strict=True):
            trained.setdefault(index, []).append(image)
    for index in range(9):
        turn = variants.turn(index, epoch)
        seen = variants.sample(turn, epoch)["image"]
        assert turn.used == (index in trained)
        assert not turn.used or any(np.array_equal(seen, image) for image in trained[index])
        assert not np.array_equal(seen, variants.sample(variants.turn(index, 0), 0)["image"])
    assert several or 0 < sum(not variants.turn(index, epoch).used for index in range(9)) < 4
