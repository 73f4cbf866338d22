"""Trainings at many rates: each from the start of the run, with its optimizer, and as long as the loss is finite."""

import numpy as np
import pytest

from ocrexp.config.compose import compose
from ocrexp.optim.range_test import Ramp, suggest, unusable
from ocrexp.optim.schedules import Cosine
from ocrexp.runs.batch_try import largest_batch, try_batch
from ocrexp.runs.rate_trainings import _training, compressed, range_test, short_trainings

WORDS = ["ab1", "cab", "2b", "abc", "1c", "bca", "c12", "a"]
TINY = [
    "model=crnn_mbv3", "model/backbone=rec_mobilenetv3_small_x0_5", "model.backbone.scale=0.35",
    "model.neck.hidden_size=16", "model.image_shape=[32,64]", "charset=from_labels", "dataset=rec_list",
    "loader.batch_size=4", "loader.num_workers=0", "trainer.device=cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory, draw_words):
    """`config(*overrides)`: of a tiny recognizer."""
    root = draw_words(tmp_path_factory.mktemp("words"), WORDS)
    return lambda *more: compose("train", [*TINY, f"dataset.root={root}", *more])


def test_the_loss_falls_while_the_rate_rises_and_the_test_ends_where_it_diverges(config) -> None:
    ramp = Ramp(1e-6, 10.0, 60)
    curve = range_test(config(), ramp, 0.8, 4.0)
    np.testing.assert_allclose(curve.rates, [ramp(step) for step in range(len(curve.rates))])
    assert curve.ended is not None and len(curve.rates) < 60
    assert unusable(curve) is None
    assert 1e-5 < suggest(curve).recommended.rate < 0.1
    early = range_test(config("optim.lr=0.123"), Ramp(1e-6, 10.0, 60), 0.8, 1.1)  # the configured rate has no influence
    assert len(early.rates) < len(curve.rates)
    np.testing.assert_array_equal(early.losses, curve.losses[: len(early.losses)])


def test_a_rate_that_teaches_nothing_suggests_nothing(config) -> None:
    why = unusable(range_test(config(), Ramp(1e-12, 1e-10, 16), 0.8, 4.0))
    assert why is not None and why.startswith("the loss has not fallen")


def test_each_rate_trains_from_the_same_start(config) -> None:
    one = short_trainings(config(), [1e-3, 1e-2], 3)
    other = short_trainings(config(), [1e-2, 1e-3], 3)
    assert one.metric == "accuracy" and one.start == other.start and one.start.val_loss is not None
    assert [(t.rate, t.train_loss, t.result) for t in one.trainings] == [
        (t.rate, t.train_loss, t.result) for t in reversed(other.trainings)
    ]
    assert one.trainings[0].result != one.trainings[1].result


def test_a_training_that_diverges_has_no_result_and_the_others_go_on(config) -> None:
    found = short_trainings(config("trainer.val_loss=false"), [1e30, 1e-3], 4)
    assert found.trainings[0].result is None and found.trainings[0].ended.startswith("diverged: ")
    result = found.trainings[1].result
    assert result is not None and result.val_loss is None and result.metric >= 0


def test_the_rate_of_a_step_is_that_of_the_ramp_times_the_factors_of_parts(config) -> None:
    scaled = ["optim.lr_scale={backbone: 0.0001}", "optim.scale_lr=true", "optim.reference_batch=2"]
    given = config(*scaled, "optimizer=sgd")
    with _training(given) as trained:
        named = trained.parts.model.named_parameters()
        learning = {name: value for name, value in named if not value.stop_gradient}  # without running statistics
        before = {name: value.numpy().copy() for name, value in learning.items()}
        assert trained.step(0.05) is None
        assert trained.stepper.optimizer.get_lr() == pytest.approx(0.1)  # twice the images of the reference
        moved = {
            part: max(
                float(np.abs(value.numpy() - before[name]).max())
                for name, value in learning.items()
                if name.startswith(part)
            )
            for part in ("backbone", "head")
        }
    assert moved["head"] > 0 and moved["backbone"] < 0.01 * moved["head"]


def test_a_schedule_in_fewer_steps_keeps_its_shape() -> None:
    whole = Cosine(lr=1.0, total_steps=1000, steps_per_epoch=100, warmup_steps=200)
    short = [compressed(whole, 1000, 50)(step) for step in range(50)]
    assert short[0] < 0.1 and max(short) == pytest.approx(1.0, abs=0.01)
    assert 8 <= int(np.argmax(short)) <= 11
    assert short[-1] < 0.01


def test_a_try_trains_the_largest_shape_with_real_samples(config) -> None:
    sizes = "loader.multi_scale.sizes=[[32,64],[48,64],[32,48]]"
    given = config("loader=multi_scale", sizes, "loader.multi_scale.fix_batch=true", "loader.batch_size=12")
    found = try_batch(given)
    assert (found["images"], found["size"], found["total"]) == (12, [48, 64], None)
    assert found["peak"] > 10e6 and found["seconds"] > 0 and found["batch_bytes"] > 12 * 48 * 64 * 3


def test_samples_are_repeated_up_to_the_batch(config) -> None:
    from ocrexp.assemble import assemble

    batch = largest_batch(assemble(config("loader.batch_size=20")))
    assert len(batch["image"]) == len(batch["label_ctc"]) == 20
    np.testing.assert_array_equal(batch["image"][:4], batch["image"][8:12])
