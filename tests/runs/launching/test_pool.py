"""Jobs side by side: their GPUs, their share of the cores, and what a signal does. The jobs train nothing."""

import os
import signal

import pytest
from fake_jobs import FakeSweep
from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError
from ocrexp.runs.launching.read import read_launching
from ocrexp.runs.launching.settings import PoolLaunching

MEET = """
end = time.time() + 60
while not all((run_dir.parent / job / "began").exists() for job in "01") and time.time() < end:
    time.sleep(0.02)
"""


def without(*names):
    return {name: value for name, value in os.environ.items() if name not in names}


def test_each_job_has_a_gpu_of_its_own_and_its_share_of_the_cores(tmp_path):
    sweep = FakeSweep(tmp_path)
    sweep.work(MEET)
    done = sweep.run(
        "launcher=joblib", "launcher.devices=[1,0]", "optim.lr=range(1,4)", "+hydra.job.env_set.MARK=x",
        env={**without("OMP_NUM_THREADS", "OCREXP_CORES"), "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    starts = [sweep.starts(job) for job in range(3)]
    assert [len(each) for each in starts] == [1] * 3
    jobs = [each[0] for each in starts]
    assert [job["environment"]["CUDA_VISIBLE_DEVICES"] for job in jobs[:2]] == ["GPU-b", "GPU-a"]
    assert {job["environment"]["MARK"] for job in jobs} == {"x"}
    assert {job["environment"]["OCREXP_CORES"] for job in jobs} == {str(max(1, available_cores() // 2))}
    for one in jobs:
        beside = [job for job in jobs if job is not one and job["began"] < one["ended"] and one["began"] < job["ended"]]
        cards = [job["environment"]["CUDA_VISIBLE_DEVICES"] for job in beside]
        assert one["environment"]["CUDA_VISIBLE_DEVICES"] not in cards  # a GPU is free again when its job has ended
    assert max(job["began"] for job in jobs[:2]) < min(job["ended"] for job in jobs[:2])  # they ran at the same time
    assert [line for line in done.stdout.splitlines() if line.startswith("best: hmean 3")]


def test_a_signal_stops_the_jobs_which_save_and_the_same_command_goes_on(tmp_path):
    sweep = FakeSweep(tmp_path, 30)
    process = sweep.start("launcher=joblib", "launcher.n_jobs=2", "optim.lr=range(1,4)")
    sweep.wait(lambda: all(sweep.has_checkpoint(job) for job in range(2)))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "the same command with sweep_dir=sweep resumes it" in err
    assert [sweep.status(job).get("state") for job in range(3)] == ["interrupted", "interrupted", None]
    sweep.work("pass")
    done = sweep.run("launcher=joblib", "launcher.n_jobs=3", "optim.lr=range(1,4)")
    assert done.returncode == 0, done.stderr
    assert [[start["resume"] for start in sweep.starts(job)] for job in range(3)] == [[False, True]] * 2 + [[False]]
    assert {sweep.status(job)["state"] for job in range(3)} == {"done"}
    assert {job["environment"]["OCREXP_CORES"] for job in sweep.starts(2)} == {str(max(1, available_cores() // 3))}


def launcher(**options):
    return {"n_jobs": None, "devices": None, **options}


@pytest.mark.parametrize(
    ("options", "width", "cards"),
    [
        ({}, 2, [None, None]),
        ({"n_jobs": 3}, 3, [None] * 3),
        ({"devices": [2, 0]}, 2, ["2", "0"]),
        ({"devices": [0, 0, 1], "n_jobs": 2}, 2, ["0", "0"]),
        ({"n_jobs": -1}, available_cores(), [None] * available_cores()),
    ],
)
def test_places_of_jobs(options, width, cards, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    launching = PoolLaunching.read(launcher(**options))
    assert (launching.width, launching.cards()) == (width, cards)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_jobs": 0}, ("launcher.n_jobs", "got 0")),
        ({"n_jobs": 3, "devices": [0, 1]}, ("launcher.n_jobs", "up to 2", "got 3")),
        ({"devices": []}, ("launcher.devices", "[0,1]")),
        ({"devices": "0,1"}, ("launcher.devices", "'0,1'")),
        ({"devices": [2]}, ("launcher.devices", "CUDA_VISIBLE_DEVICES", "got 2")),
    ],
)
def test_places_that_cannot_be_are_one_line(options, words, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError) as caught:
        PoolLaunching.read(launcher(**options))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"device": "gpu:1", "devices": 1}, ("trainer.device=gpu:1", "launcher.devices")),
        ({"device": "auto", "devices": [0, 1]}, ("trainer.devices=[0, 1]", "launcher.devices")),
        ({"device": "auto", "devices": 2}, ("trainer.devices=2", "launcher.devices=null")),
        ({"device": "cpu", "devices": 2}, ()),
        ({"device": "gpu", "devices": "auto"}, ()),
    ],
)
def test_a_job_that_needs_more_than_its_gpu_is_refused(trainer, words):
    launching = PoolLaunching(2, [0, 1])
    if not words:
        launching.check_job(OmegaConf.create(trainer))
        return
    with pytest.raises(ConfigError) as caught:
        launching.check_job(OmegaConf.create(trainer))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_the_options_reach_the_launcher_in_both_ways():
    for prefix in ("launcher", "hydra.launcher"):
        config = compose("train", ["launcher=joblib", f"{prefix}.n_jobs=5"], with_hydra=True)
        with_hydra = OmegaConf.create(OmegaConf.to_container(config))
        assert read_launching(with_hydra.hydra.launcher).width == 5
    with pytest.raises(ConfigError, match=r"launcher\.devcies"):
        compose("train", ["launcher=joblib", "launcher.devcies=[0]"])
