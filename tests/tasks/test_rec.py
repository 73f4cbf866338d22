"""The recognition task: what is said about images that do not fit into one batch."""

import numpy as np
import pytest

from ocrexp.errors import DataError
from ocrexp.tasks.find import find_task


def test_widened_images_in_training_are_sent_to_the_loader_of_several_sizes():
    samples = [{"image": np.zeros((32, width, 3), np.uint8), "index": 0} for width in (100, 106)]
    with pytest.raises(DataError) as error:
        find_task("rec").collate_train(samples, np.empty)
    said = str(error.value)
    assert "32x106" in said
    for advice in ("preprocess.resize.widen=true", "loader=multi_scale", "loader.multi_scale.by_ratio=true"):
        assert advice in said
