"""A run killed with SIGKILL at several instants and taken up again ends as one that was never interrupted, bit for bit.

The real parts: DB on drawn images, two workers, augmentation, weight averaging, saves and evaluations in mid-epoch.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
from standins import assert_same

from ocrexp.engine.checkpoint import CheckpointStore

SCRIPT = Path(__file__).with_name("db_run.py")

# One process after the other on the same folder. Saves of `latest` are due every 8 steps, evaluations every 14; a set
# takes two calls of paddle.save and 14 flushes, links and renames.
INSTANTS = [
    "step:11",  # in the middle of the second epoch, three steps after a save
    "part:3",  # best_accuracy of step 14 is there, latest.pdparams of step 16 half written
    "file:20",  # all files of that set are there but the last rename, which would make it count
    "file:24",  # the set counts, and `latest.*` are being exchanged for it
    "step:47",
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen images with two bright words each."""
    folder = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(0)
    lines = []
    for number in range(14):
        image = rng.integers(0, 70, (96, 128, 3), dtype=np.uint8)
        words = []
        for x in (8, 70):
            y = int(rng.integers(10, 60))
            cv2.rectangle(image, (x, y), (x + 45, y + 18), (200, 220, 210), -1)
            points = [[x, y], [x + 45, y], [x + 45, y + 18], [x, y + 18]]
            words.append({"transcription": "word", "points": points})
        cv2.imwrite(str(folder / f"{number}.png"), image)
        lines.append(f"{number}.png\t{json.dumps(words)}\n")
    (folder / "train.txt").write_text("".join(lines[:12]))
    (folder / "val.txt").write_text("".join(lines[12:]))
    return folder


def _run(data: Path, run_dir: Path, *instant: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(SCRIPT), str(data), str(run_dir), *instant]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_killed_and_resumed_equals_uninterrupted(drawn: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run = _run(drawn, whole)
    assert run.returncode == 0, run.stderr
    for instant in INSTANTS:
        run = _run(drawn, cut, instant)
        assert run.returncode == -signal.SIGKILL, (instant, run.stderr)
    run = _run(drawn, cut)
    assert run.returncode == 0, run.stderr

    for name in ("latest", "best_accuracy"):
        for suffix in ("pdparams", "pdopt"):
            left, right = (paddle.load(str(path / f"checkpoints/{name}.{suffix}")) for path in (whole, cut))
            assert_same(left, right)
    left, right = (CheckpointStore(path).load("latest").states for path in (whole, cut))  # type: ignore[union-attr]
    assert_same(left["average"], right["average"])
    for key in ("step", "epoch", "batch", "best_value", "best_step", "best_metrics", "evaluations"):
        assert left["train_state"][key] == right["train_state"][key], key
    losses = [_column(path / "metrics.csv", "train/loss") for path in (whole, cut)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 60


def _column(path: Path, name: str) -> list[tuple[str, str]]:
    import csv

    with path.open() as file:
        return [(row["step"], row[name]) for row in csv.DictReader(file) if row[name]]
