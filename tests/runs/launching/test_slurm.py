"""Jobs on Slurm: what sbatch is asked for, preemption, commands that come back, jobs that are lost.

The commands of Slurm are stand-ins (`standin_slurm.py`), submitit is real, and the jobs train nothing.
"""

import json
import os
import signal

import pytest

pytest.importorskip("submitit", reason="extra 'slurm' is not installed")

import standin_slurm
from fake_jobs import REMOTE, FakeSweep

from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError
from ocrexp.runs.launching.slurm_settings import SlurmLaunching, SlurmLocalLaunching

SUBMITIT = (
    REMOTE
    + """
from ocrexp.runs.launching import slurm, slurm_local
slurm.RemoteJob = slurm_local.RemoteJob = Fake
slurm.LOOK_SECONDS, slurm.QUEUE_SECONDS = 0.1, 1.0
"""
)
# The first start of job 0 lasts until it is stopped.
ONCE_LONG = 'time.sleep(60 if run_dir.name == "0" and sys.argv[2] == "False" else 0)'


@pytest.fixture
def cluster(tmp_path):
    """A folder with the stand-ins, and a sweep that finds them."""
    folder = tmp_path / "slurm"
    variables = standin_slurm.install(folder)
    sweep = FakeSweep(tmp_path, more=SUBMITIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", variables["PATH"])
        yield folder, sweep


def test_an_array_is_submitted_and_a_preempted_job_is_requeued_and_resumes(cluster):
    folder, sweep = cluster
    sweep.work(ONCE_LONG)
    process = sweep.start(
        "launcher=slurm", "launcher.partition=gpu", "launcher.time='1:30:00'", "launcher.cpus=3", "launcher.gpus=1",
        "launcher.mem=8GB", "launcher.n_jobs=2", "launcher.sbatch={exclude: node7}", "launcher.setup=[export MARK=x]",
        "optim.lr=1,2,3",
    )  # fmt: skip
    sweep.wait(lambda: sweep.has_checkpoint(0))
    os.kill(standin_slurm.read(folder, "100_0")["pid"], signal.SIGUSR2)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    options = json.loads((folder / "submissions.jsonl").read_text())
    expected = {
        "partition": "gpu", "time": "90", "cpus-per-task": "3", "gpus-per-node": "1", "mem": "8GB", "array": "0-2%2",
        "nodes": "1", "ntasks-per-node": "1", "exclude": "node7", "requeue": "", "signal": "USR2@120",
        "job-name": "ocrexp sweep",
    }  # fmt: skip
    assert {name: options.get(name) for name in expected} == expected
    assert [(start["stopped"], start["resume"]) for start in sweep.starts(0)] == [(15, False), (None, True)]
    assert [len(sweep.starts(job)) for job in (1, 2)] == [1, 1]
    environment = sweep.starts(1)[0]["environment"]
    assert (environment["OCREXP_CORES"], environment["MARK"]) == ("3", "x")
    assert any(line.startswith("best: hmean 3") for line in out.splitlines())


def test_a_command_that_comes_back_waits_for_the_jobs_and_ctrl_c_cancels_them(cluster):
    folder, sweep = cluster
    sweep.work("time.sleep(60)")
    command = ("launcher=slurm", "optim.lr=1,2")
    first = sweep.start(*command)
    sweep.wait(lambda: all(sweep.has_checkpoint(job) for job in range(2)))
    first.kill()
    first.communicate()
    second = sweep.start(*command)
    sweep.wait(lambda: "in Slurm's queue already" in second.stdout.readline())
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 130, err
    assert len((folder / "submissions.jsonl").read_text().splitlines()) == 1
    assert [sweep.status(job)["state"] for job in range(2)] == ["interrupted"] * 2
    assert [[start["stopped"] for start in sweep.starts(job)] for job in range(2)] == [[15], [15]]


def test_a_job_that_is_lost_is_failed_with_its_cause_and_slurm_may_refuse(cluster):
    _, sweep = cluster
    sweep.work("os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)")
    done = sweep.run("launcher=slurm", "optim.lr=1")
    assert done.returncode == 1
    status = sweep.status(0)
    assert status["state"] == "failed" and "Slurm job 100 ended FAILED" in status["error"], status
    refused = sweep.run("launcher=slurm", "launcher.partition=closed", "optim.lr=1", "sweep_dir=other")
    assert refused.returncode == 2
    line = "ocrexp: launcher=slurm: sbatch refused the jobs: sbatch: error: invalid partition specified: closed"
    assert refused.stderr.splitlines()[-1] == line


def test_on_this_machine_a_job_that_is_preempted_saves_and_starts_again(tmp_path):
    sweep = FakeSweep(tmp_path, more=SUBMITIT)
    sweep.work(ONCE_LONG)
    process = sweep.start(
        "launcher=slurm_local", "launcher.devices=[1]", "launcher.cpus=1", "launcher.time=10", "optim.lr=1,2"
    )
    sweep.wait(lambda: sweep.has_checkpoint(0))
    os.kill(json.loads((tmp_path / "sweep" / "0" / ".lock").read_text())["pid"], signal.SIGUSR2)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert [(start["stopped"], start["resume"]) for start in sweep.starts(0)] == [(15, False), (None, True)]
    assert {start["environment"]["CUDA_VISIBLE_DEVICES"] for job in (0, 1) for start in sweep.starts(job)} == {"1"}


def options(launcher, **values):
    return {**compose("train", [f"launcher={launcher}"]).launcher, **values}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"time": "12:00"}, ("launcher.time", "'12:00:00'", "'12:00'")),
        ({"time": 0}, ("launcher.time", "got 0")),
        ({"mem": 16}, ("launcher.mem", "16GB", "got 16")),
        ({"cpus": 0}, ("launcher.cpus", "got 0")),
        ({"time": 1, "signal_seconds": 60}, ("launcher.signal_seconds", "got 60")),
        ({"sbatch": {"array": "0-5"}}, ("launcher.sbatch.array", "set by the launcher")),
        ({"sbatch": {"cpus_per_task": 5}}, ("launcher.sbatch.cpus-per-task", "set by the launcher")),
        ({}, ("launcher=slurm", "sbatch", "launcher=slurm_local")),
    ],
)
def test_invalid_options_are_one_line(values, words, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError) as caught:
        SlurmLaunching.read(options("slurm", **values))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "minutes"), [(90, 90), ("45", 45), ("12:00:00", 720), ("0:00:30", 1), ("2-00", 2880), ("1-12:30", 2190)]
)
def test_times_are_those_of_slurm(text, minutes):
    assert SlurmLocalLaunching.read(options("slurm_local", time=text, signal_seconds=1)).minutes == minutes


@pytest.mark.parametrize(
    ("gpus", "trainer", "word"),
    [
        (0, {"device": "auto", "devices": 2}, None),
        (0, {"device": "gpu", "devices": 1}, "launcher.gpus=1"),
        (1, {"device": "auto", "devices": 2}, "launcher.gpus=2"),
        (2, {"device": "gpu", "devices": [0, 2]}, "trainer.devices=auto"),
        (2, {"device": "cpu", "devices": 4}, None),
        (2, {"device": "auto", "devices": "auto"}, None),
    ],
)
def test_a_job_has_the_gpus_that_it_asks_for(gpus, trainer, word):
    from omegaconf import OmegaConf

    launching = SlurmLaunching(None, 60, 1, gpus)
    if word is None:
        launching.check_job(OmegaConf.create(trainer))
        return
    with pytest.raises(ConfigError, match=word):
        launching.check_job(OmegaConf.create(trainer))
