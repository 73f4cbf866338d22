"""Jobs forked from a process that has imported paddle: what they see, how they end, and when they are not forked."""

import os
import signal
import sys
from pathlib import Path

import pytest
import warm

from ocrexp.engine.status import read_status
from ocrexp.runs.warm import WarmError, WarmProcess, possible
from ocrexp.weights.reader import read_parameters

pytestmark = pytest.mark.skipif(not possible({}), reason="jobs are forked on Linux, with a paddle without GPUs")


def test_a_child_is_as_a_fresh_process_and_concerns_no_other(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    process = WarmProcess(environment)
    assert process.fits({**environment, "OCREXP_TRIAL": "x", "CUDA_VISIBLE_DEVICES": "1"})
    assert not process.fits({**environment, "OMP_NUM_THREADS": "2"})
    (tmp_path / "errors").touch()
    with (tmp_path / "errors").open("wb") as errors:
        streams = (errors.fileno(), errors.fileno())
        first = process.start([str(tmp_path / "nowhere")], environment, tmp_path, *streams)
        assert first.wait() == 2
        first.send_signal(signal.SIGTERM)  # it has ended: nothing
        second = process.start(["nowhere/else"], environment, tmp_path, *streams)
        assert second.pid != first.pid and second.wait() == 2
        assert len((tmp_path / "errors").read_text().splitlines()) == 2
        assert "nowhere/else" in (tmp_path / "errors").read_text()
        process.close()
        with pytest.raises(WarmError):
            process.start(["nowhere"], environment, tmp_path, *streams)


def test_it_can_be_switched_off_and_is_off_for_gpus(monkeypatch):
    assert not possible({"OCREXP_WARM_JOBS": "0"})
    monkeypatch.setattr("ocrexp.runs.warm.metadata.distribution", lambda name: name)
    assert not possible({})


def test_jobs_of_a_sweep_train_side_by_side_in_one_process_or_two(tiny_run, tmp_path):
    """A job of two processes (gloo) beside one that is forked; and a single run makes the same weights."""
    arguments = ["-m", "ocrexp", "-m", *tiny_run, "trainer.device=cpu", "trainer.max_epochs=1", "callbacks=none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = warm.run(
        [*arguments, "launcher=joblib", "trainer.devices=1,2", "sweep_dir=warm"], cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = tmp_path / "warm" / "0", tmp_path / "warm" / "1"
    assert [read_status(job)["state"] for job in (one, two)] == ["done"] * 2
    assert sorted(path.name for path in (two / "ranks").iterdir()) == ["rank.0.log", "rank.1.log"]
    assert "run folder:" in (one / "console.log").read_text()
    alone = warm.run(
        [*arguments[:2], *arguments[3:], "trainer.devices=1", "run_dir=alone"], cwd=tmp_path, env=environment
    )
    assert alone.returncode == 0, alone.stderr
    mine, theirs = (read_parameters(Path(folder) / "checkpoints" / "latest.pdparams")
                    for folder in (one, tmp_path / "alone"))  # fmt: skip
    assert mine.keys() == theirs.keys()
    assert all((mine[name] == theirs[name]).all() for name in mine)
