"""The timed training step runs in processes of its own, tuned and not, and reports what a person wants to know."""

import pytest

from ocrexp.bench.step import CRNN_MBV3, DB_MBV3, time_training_step
from ocrexp.errors import TrainingError


def small() -> dict:
    return {**DB_MBV3, "neck": {**DB_MBV3["neck"], "out_channels": 16}, "pretrained": None, "freeze": []}


def test_tuned_and_untuned_steps_are_timed_and_learn_the_same() -> None:
    tuned = time_training_step(small(), batch_size=1, image_size=64, steps=2, threads=1)
    plain = time_training_step(small(), batch_size=1, image_size=64, steps=2, tuned=False)
    assert len(tuned.steps) == 2
    assert 0 < min(tuned.steps) <= tuned.seconds <= max(tuned.steps)
    assert tuned.images_per_second == pytest.approx(1 / tuned.seconds)
    assert tuned.peak_memory > 100 << 20
    assert "FLAGS_paddle_num_threads=1" in tuned.settings
    assert plain.settings == []
    assert tuned.loss == pytest.approx(plain.loss, rel=0.05)


def test_a_recogniser_is_timed_on_lines_of_text() -> None:
    model = {**CRNN_MBV3, "neck": {**CRNN_MBV3["neck"], "hidden_size": 8}}
    timing = time_training_step(model, task="rec", batch_size=2, image_size=(32, 64), steps=1, threads=1)
    assert timing.image_size == [32, 64]
    assert timing.images_per_second == pytest.approx(2 / timing.seconds)
    assert 0 < timing.loss < 1000


def test_a_step_that_fails_says_why_in_one_line() -> None:
    with pytest.raises(
        TrainingError, match=r"training step failed: .*out_channels: expected a multiple of 4, got 18"
    ) as error:
        time_training_step({**small(), "neck": {**DB_MBV3["neck"], "out_channels": 18}}, image_size=32)
    assert "\n" not in str(error.value)
