"""Two processes with gloo on the CPU against one process that sees the same images.

Compared without norms and dropout, which see each rank's samples by themselves, and with a loss that is a mean over
samples: DB's Dice is taken over a whole batch, so its gradients on 2 × 4 images are not those on 1 × 8.
"""

import os
import signal
import threading
import time
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


def _launch(run_dir: Path, mode: str) -> int:
    run_dir.mkdir()
    return launch_processes(2, [str(SCRIPT), str(run_dir), mode], SETTINGS, run_dir)


def test_two_processes_train_as_one_with_the_same_images(tmp_path: Path) -> None:
    assert _launch(tmp_path / "two", "plain") == 0
    one = trainer_of(tmp_path / "one", "plain")
    gradients = keep_gradients(one)
    one.fit()
    for rank in (0, 1):
        with np.load(tmp_path / f"two/gradients_{rank}.npz") as saved:
            assert set(saved) == set(gradients)
            for name, expected in gradients.items():
                np.testing.assert_allclose(saved[name], expected, rtol=1e-5, atol=1e-7)
    assert one.step == 5  # the batch that is empty on one rank is passed over by both
    left = paddle.load(str(tmp_path / "two/checkpoints/latest.pdparams"))
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(np.asarray(left[name]), value.numpy(), rtol=1e-4, atol=1e-6)
    status = read_status(tmp_path / "two")
    assert status is not None
    assert status["state"] == "done"
    assert status["step"] == 5
    assert status["metrics"]["images"] == 7  # each evaluated once, over both ranks
    assert status["best_value"] == pytest.approx(one.state.best_value, rel=1e-4)
    assert sorted(path.name for path in (tmp_path / "two/ranks").iterdir()) == ["rank.0.log", "rank.1.log"]
    assert not any("TOKEN" in path.read_text() for path in (tmp_path / "two").rglob("*.log"))


def test_two_processes_train_a_part_from_a_step_on_as_one_does(tmp_path: Path) -> None:
    assert _launch(tmp_path / "two", "thaw") == 0
    one = trainer_of(tmp_path / "one", "thaw")
    start = one.model.conv.weight.numpy()
    one.fit()
    assert np.abs(one.model.conv.weight.numpy() - start).max() > 1e-3
    left = paddle.load(str(tmp_path / "two/checkpoints/latest.pdparams"))
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(np.asarray(left[name]), value.numpy(), rtol=1e-4, atol=1e-6)


def test_two_processes_train_a_recognizer_as_one_with_the_same_words(tmp_path: Path, draw_words) -> None:
    """In batches of several sizes; CTC is a mean over samples."""
    draw_words(tmp_path / "words", WORDS)
    assert _launch(tmp_path / "two", "rec") == 0
    one = recognizer_of(tmp_path / "one")
    gradients = keep_gradients(one)
    one.fit()
    for rank in (0, 1):
        with np.load(tmp_path / f"two/gradients_{rank}.npz") as saved:
            assert set(saved) == set(gradients)
            for name, expected in gradients.items():
                assert np.abs(saved[name] - expected).max() <= max(1e-5 * np.abs(expected).max(), 1e-10), name
    left = paddle.load(str(tmp_path / "two/checkpoints/latest.pdparams"))
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(np.asarray(left[name]), value.numpy(), rtol=1e-3, atol=1e-4)
    status = read_status(tmp_path / "two")
    assert status is not None
    assert status["step"] == one.step == 8
    assert status["metrics"] == pytest.approx(one.best_metrics)
    shared, alone = read_samples(tmp_path / "two"), read_samples(tmp_path / "one")
    assert shared is not None and alone is not None
    assert [row["path"] for row in shared.rows] == [row["path"] for row in alone.rows] != []


def test_a_failing_rank_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        _launch(tmp_path / "run", "nan")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("rank 1: the loss is not finite at step 5: near=nan")
    assert "images/" in message
    assert (tmp_path / "run/nonfinite_batch_rank1.npz").exists()
    status = read_status(tmp_path / "run")
    assert status is not None
    assert status["state"] == "failed"


def test_a_signal_to_the_parent_reaches_the_ranks_and_the_run_can_go_on(tmp_path: Path) -> None:
    def interrupt() -> None:
        for _ in range(300):
            status = read_status(tmp_path / "run")
            if status and status.get("step", 0) >= 3:
                break
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt, daemon=True).start()
    assert _launch(tmp_path / "run", "slow") == 143
    status = read_status(tmp_path / "run")
    assert status is not None
    assert status["state"] == "interrupted"
    from ocrexp.engine.checkpoint import CheckpointStore

    assert CheckpointStore(tmp_path / "run").load_for_resume().step == status["step"] >= 3
