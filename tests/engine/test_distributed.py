"""Two processes with gloo on the CPU against one process that sees the same images.

Compared without norms and dropout, which see each rank's samples by themselves, and with a loss that is a mean over
samples: DB's Dice is taken over a whole batch, so its gradients on 2 × 4 images are not those on 1 × 8.
"""

import contextlib
import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
from rank_run import keep_gradients, recognizer_of, trainer_of
from rec_words import WORDS

from ocrexp.engine.launch import launch_processes
from ocrexp.engine.samples import read_samples
from ocrexp.engine.settings import TrainerSettings
from ocrexp.engine.status import read_status
from ocrexp.errors import TrainingError

SCRIPT = Path(__file__).with_name("rank_run.py")
SETTINGS = TrainerSettings(device="cpu", devices=2)


def _launch(folder: Path, *modes: str, settings: TrainerSettings = SETTINGS) -> int:
    folder.mkdir(exist_ok=True)
    return launch_processes(2, [str(SCRIPT), str(folder), *modes], settings, folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, draw_words) -> Path:
    """A folder with three trainings in two processes, `plain`, `thaw` and `rec`, and a comparison of `gradients`."""
    folder = tmp_path_factory.mktemp("two")
    draw_words(folder / "words", WORDS)
    assert _launch(folder, "gradients", "plain", "thaw", "rec") == 0
    assert sorted(path.name for path in (folder / "ranks").iterdir()) == ["rank.0.log", "rank.1.log"]
    assert not any("TOKEN" in path.read_text() for path in folder.rglob("*.log"))
    return folder


def test_gradients_of_two_processes_are_those_of_one(two: Path) -> None:
    for rank in (0, 1):
        counts = json.loads((two / f"gradients/equal_{rank}.json").read_text())
        assert counts["tuned"] == counts["untuned"] > 50


def test_two_processes_train_as_one_with_the_same_images(two: Path, tmp_path: Path) -> None:
    one = trainer_of(tmp_path / "one", "plain")
    gradients = keep_gradients(one)
    one.fit()
    for rank in (0, 1):
        with np.load(two / f"plain/gradients_{rank}.npz") as saved:
            assert set(saved) == set(gradients)
            for name, expected in gradients.items():
                np.testing.assert_allclose(saved[name], expected, rtol=1e-5, atol=1e-7)
    assert one.step == 5  # the batch that is empty on one rank is passed over by both
    left = paddle.load(str(two / "plain/checkpoints/latest.pdparams"))
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(np.asarray(left[name]), value.numpy(), rtol=1e-4, atol=1e-6)
    status = read_status(two / "plain")
    assert status is not None
    assert status["state"] == "done"
    assert status["step"] == 5
    assert status["metrics"]["images"] == 7  # each evaluated once, over both ranks
    assert status["best_value"] == pytest.approx(one.state.best_value, rel=1e-4)


def test_two_processes_train_a_part_from_a_step_on_as_one_does(two: Path, tmp_path: Path) -> None:
    one = trainer_of(tmp_path / "one", "thaw")
    start = one.model.conv.weight.numpy()
    one.fit()
    assert np.abs(one.model.conv.weight.numpy() - start).max() > 1e-3
    left = paddle.load(str(two / "thaw/checkpoints/latest.pdparams"))
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(np.asarray(left[name]), value.numpy(), rtol=1e-4, atol=1e-6)


def test_two_processes_train_a_recognizer_as_one_with_the_same_words(two: Path) -> None:
    """In batches of several sizes; CTC is a mean over samples."""
    one = recognizer_of(two / "alone")
    gradients = keep_gradients(one)
    one.fit()
    for rank in (0, 1):
        with np.load(two / f"rec/gradients_{rank}.npz") as saved:
            assert set(saved) == set(gradients)
            for name, expected in gradients.items():
                assert np.abs(saved[name] - expected).max() <= max(1e-5 * np.abs(expected).max(), 1e-10), name
    left = paddle.load(str(two / "rec/checkpoints/latest.pdparams"))
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(np.asarray(left[name]), value.numpy(), rtol=1e-3, atol=1e-4)
    status = read_status(two / "rec")
    assert status is not None
    assert status["step"] == one.step == 8
    assert status["metrics"] == pytest.approx(one.best_metrics)
    shared, alone = read_samples(two / "rec"), read_samples(two / "alone")
    assert shared is not None and alone is not None
    assert [row["path"] for row in shared.rows] == [row["path"] for row in alone.rows] != []


def test_a_failing_rank_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        _launch(tmp_path / "run", "nan")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("rank 1: the loss is not finite at step 5: near=nan")
    assert "images/" in message
    assert (tmp_path / "run/nan/nonfinite_batch_rank1.npz").exists()
    status = read_status(tmp_path / "run/nan")
    assert status is not None
    assert status["state"] == "failed"


def test_a_pause_is_waited_for_as_long_as_the_key_says(tmp_path: Path) -> None:
    """Both ranks stop for 2 seconds, as a machine that sleeps; then one of them is gone for longer than 6 seconds."""
    survived: list[int] = []

    def pause() -> None:
        run_dir = tmp_path / "run" / "pause"
        _wait_for_step(run_dir, 3)
        ranks = _ranks_of(tmp_path / "run")
        for pid in ranks:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2)
        step = (read_status(run_dir) or {})["step"]
        for pid in ranks:
            os.kill(pid, signal.SIGCONT)
        survived.append(_wait_for_step(run_dir, step + 3))
        os.kill(ranks[1], signal.SIGSTOP)
        time.sleep(8)
        os.kill(ranks[1], signal.SIGCONT)

    threading.Thread(target=pause, daemon=True).start()
    with pytest.raises(TrainingError, match=r"rank \d: waited longer than trainer\.dist_timeout_minutes=0\.1"):
        _launch(tmp_path / "run", "pause", settings=replace(SETTINGS, dist_timeout_minutes=0.1))
    assert survived


def _wait_for_step(run_dir: Path, step: int) -> int:
    for _ in range(600):
        status = read_status(run_dir)
        if status and status.get("step", 0) >= step:
            return int(status["step"])
        time.sleep(0.1)
    raise AssertionError(f"step {step} is not reached")


def _ranks_of(folder: Path) -> list[int]:
    """The processes of a run, in order of rank."""
    found = {}
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes().decode().split("\0")
            environment = (process / "environ").read_bytes().decode(errors="replace").split("\0")
            rank = next((item for item in environment if item.startswith("PADDLE_TRAINER_ID=")), None)
            if str(folder) in arguments and rank:
                found[rank] = int(process.name)
    return [found[rank] for rank in sorted(found)]


def test_a_signal_to_the_parent_reaches_the_ranks_and_the_run_can_go_on(tmp_path: Path) -> None:
    def interrupt() -> None:
        for _ in range(300):
            status = read_status(tmp_path / "run/slow")
            if status and status.get("step", 0) >= 3:
                break
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt, daemon=True).start()
    assert _launch(tmp_path / "run", "slow") == 143
    status = read_status(tmp_path / "run/slow")
    assert status is not None
    assert status["state"] == "interrupted"
    from ocrexp.engine.checkpoint import CheckpointStore

    assert CheckpointStore(tmp_path / "run/slow").load_for_resume().step == status["step"] >= 3
