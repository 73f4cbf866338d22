"""What every adaptation decides: processes, batch, rate, steps, evaluations."""

import pytest
from made_choices import Made

from ocrexp.adapt.base import Device, Pace, decay
from ocrexp.adapt.rec import RecAdaptation
from ocrexp.errors import ConfigError

CPU, GPU = Device(gpu=False, cores=2), Device(gpu=True, cores=8)
BATCH = {
    "trainer.devices": 1,
    "trainer.accumulate": 1,
    "loader.batch_size": 64,
    "optim.lr": 1e-3,
    "optim.optimizer._target_": "ocrexp.optim.optimizers.AdamW",
}
LENGTH = {
    "trainer.max_minutes": 20,
    "trainer.max_epochs": 40,
    "trainer.max_steps": None,
    "trainer.eval_at_start": False,
    "model.pretrained": "ppocrv6_small_rec",
    "trainer.eval_every_steps": None,
    "trainer.eval_every_epochs": 1,
    "trainer.log_every_steps": 10,
    "trainer.ema_decay": None,
    "optim.schedule.warmup_steps": 0,
}


def batch(images, device=CPU, given=(), **changed):
    choices = Made({**BATCH, **changed}, given)
    RecAdaptation().fit_steps(images, device, choices)
    return choices.values


def length(pace, **changed):
    choices = Made({**LENGTH, **{f"trainer.{key}": value for key, value in changed.items()}})
    RecAdaptation().length(pace, choices)
    return choices.values


def test_eight_images_on_two_cores_are_two_processes_of_four():
    values = batch(5000)
    assert (values["trainer.devices"], values["loader.batch_size"], values["optim.lr"]) == (2, 4, 6e-5)
    values = batch(5000, Device(gpu=False, cores=1))
    assert (values["trainer.devices"], values["loader.batch_size"]) == (1, 8)


def test_a_gpu_keeps_its_processes_and_the_rate_follows_the_root_of_the_batch():
    values = batch(50_000, GPU)
    assert (values["trainer.devices"], values["loader.batch_size"]) == (1, 64)
    assert values["optim.lr"] == pytest.approx(6e-5 * 8**0.5, rel=0.05)


def test_a_step_sees_a_quarter_of_the_images_at_most():
    assert batch(20, GPU)["loader.batch_size"] == 5
    assert batch(20)["loader.batch_size"] == 2
    assert batch(1)["loader.batch_size"] == 1


def test_few_images_get_a_lower_rate():
    rates = [batch(images)["optim.lr"] for images in (40, 400, 2000, 20_000)]
    assert rates == sorted(rates)
    assert rates[0] < rates[1] < rates[2] == rates[3]


def test_the_rate_belongs_to_the_batch_that_counts():
    values = batch(5000, given=["loader.batch_size"], **{"loader.batch_size": 16})
    assert values["optim.lr"] == 1.2e-4  # 2 processes of 16
    assert batch(5000, **{"trainer.accumulate": 4})["optim.lr"] == 1.2e-4


def test_the_rate_of_another_optimizer_is_kept():
    assert batch(5000, **{"optim.optimizer._target_": "ocrexp.optim.optimizers.SGD"})["optim.lr"] == 1e-3


@pytest.mark.parametrize("at_start", [False, True, "auto"])
@pytest.mark.parametrize("minutes", [2, 20, 200])
@pytest.mark.parametrize("evaluation", [0.5, 10, 40])
def test_training_and_evaluations_fit_into_the_time(minutes, evaluation, at_start):
    values = length(Pace(0.8, evaluation, 10_000), max_minutes=minutes, eval_at_start=at_start)
    steps, every = values["trainer.max_steps"], values["trainer.eval_every_steps"]
    evaluations = steps / every
    assert evaluations == int(evaluations) >= 1
    assert evaluations <= 8
    seconds = steps * 0.8 + (evaluations + bool(at_start)) * evaluation
    assert 0.5 * 60 * minutes < seconds < 0.92 * 60 * minutes
    assert values["optim.schedule.warmup_steps"] == round(steps / 10)
    assert values["trainer.eval_every_epochs"] is None
    assert values["trainer.ema_decay"] == decay(steps)


def test_epochs_and_given_steps_bound_the_run():
    values = length(Pace(0.01, 1.0, 10), max_minutes=200)
    assert values["trainer.max_steps"] == 400
    values = length(Pace(0.01, 1.0, 10), max_steps=100)
    assert (values["trainer.max_steps"], values["optim.schedule.warmup_steps"]) == (100, 10)
    assert 100 % values["trainer.eval_every_steps"] < values["trainer.eval_every_steps"] <= 100
    values = length(Pace(0.0, 0.0, 10), max_minutes=None)
    assert values["trainer.max_steps"] == 400
    assert length(Pace(1, 1, 10), max_minutes=None, max_epochs=1)["trainer.max_steps"] <= 10


def test_a_warm_up_in_epochs_is_kept():
    choices = Made({**LENGTH, "optim.schedule.warmup_epochs": 1.0})
    RecAdaptation().length(Pace(1, 1, 100), choices)
    assert choices.values["optim.schedule.warmup_steps"] == 0


def test_too_little_time_and_no_end_are_one_line():
    with pytest.raises(ConfigError, match=r"^trainer\.max_minutes: expected 1\.1 or more, .*got 0\.5$"):
        length(Pace(3.0, 25, 100), max_minutes=0.5)
    values = length(Pace(3.0, 25, 100), max_minutes=1.1)
    assert values["trainer.max_steps"] >= 10
    with pytest.raises(ConfigError, match="set one of them"):
        length(Pace(1, 1, 10), max_minutes=None, max_epochs=None)


def test_the_average_follows_the_length():
    assert decay(100) == 0.96
    assert decay(800) == 0.995
    assert decay(10) == 0.9
    assert decay(10**9) == 0.9998
