"""The images on which the statistics of restored batch norms are measured."""

import numpy as np
import pytest

from ocrexp.assemble.deployed import training_images
from ocrexp.types import UnusableSample


def drawn(sizes: dict[int, tuple[int, int]], default: tuple[int, int]):
    asked = []

    def sample(index: int):
        asked.append(index)
        if index == 3:
            raise UnusableSample("it has no text")
        return {"image": np.zeros((*sizes.get(index, default), 3), np.uint8), "valid_width": index}

    return sample, asked


def test_lines_come_from_the_whole_list_in_batches_of_one_size() -> None:
    sample, asked = drawn({0: (48, 64), 9: (48, 64)}, (48, 320))
    batches = list(training_images(sample, 20))
    assert sorted(asked) == list(range(20))
    assert sorted(images.shape[:3] for images, _ in batches) == [(1, 48, 320), (2, 48, 64), (8, 48, 320), (8, 48, 320)]
    widths = np.concatenate([widths for _, widths in batches])
    assert sorted(widths) == [index for index in range(20) if index != 3]  # which is unusable


@pytest.mark.parametrize(("side", "expected"), [(640, 20), (1280, 5), (64, 160)])
def test_fewer_large_pages_are_enough(side: int, expected: int) -> None:
    sample, asked = drawn({}, (side, side))
    batches = list(training_images(sample, 1000))
    assert sum(len(images) for images, _ in batches) == expected
    assert max(asked) - min(asked) > 500
