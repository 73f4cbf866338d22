"""A run killed with SIGKILL at several instants and taken up again ends as one that was never interrupted, bit for bit.

The real parts: a detector, and recognisers in batches of several sizes, on drawn images; two workers, augmentation,
weight averaging, saves and evaluations in mid-epoch.
"""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
import warm
from rec_words import BY_RATIO, MODEL, SIZES, WORDS
from shard_making import png, word_shards, write_tar
from standins import assert_same

from ocrexp.data.image_size import read_aspects
from ocrexp.data.multi_scale import MultiScaleSampler
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
    return warm.run([str(SCRIPT), str(data), str(run_dir), *instant])


def test_killed_and_resumed_equals_uninterrupted(drawn: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run = _run(drawn, whole)
    assert run.returncode == 0, run.stderr
    for instant in INSTANTS:
        run = _run(drawn, cut, instant)
        assert run.returncode == -signal.SIGKILL, (instant, run.stderr)
    run = _run(drawn, cut)
    assert run.returncode == 0, run.stderr

    _assert_equal_runs(whole, cut, steps=60)


def _recogniser(run_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    return warm.run(["-m", "ocrexp", *arguments, f"run_dir={run_dir}"], env=environment)


def _train_whole_and_cut(
    tmp_path: Path, overrides: list[str], kill_after: int, model: Sequence[str] = MODEL
) -> tuple[Path, Path]:
    """The same training at once, and killed and resumed."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train = [
        *model, "trainer.max_epochs=2", "trainer.ema_decay=0.9", "loader.batch_size=4", "loader.num_workers=2",
        "trainer.save_every_steps=4", "trainer.eval_every_steps=11", "trainer.eval_every_epochs=null", "callbacks=none",
        *overrides,
    ]  # fmt: skip

    def in_pieces() -> None:
        run = _recogniser(cut, *train, f"+callbacks.kill={{_target_: killing.KillAfter, step: {kill_after}}}")
        assert run.returncode == -signal.SIGKILL, run.stderr
        run = _recogniser(cut, "resume", "callbacks=none")
        assert run.returncode == 0, run.stderr
        assert f"from step {kill_after - 2} on" in run.stderr  # the last one that was saved

    with ThreadPoolExecutor() as pool:
        pieces = pool.submit(in_pieces)
        run = _recogniser(whole, *train)
        pieces.result()
    assert run.returncode == 0, run.stderr
    return whole, cut


def test_a_recogniser_with_sizes_by_aspect_goes_on_exactly(tmp_path: Path, draw_words) -> None:
    words = draw_words(tmp_path / "words", WORDS)
    images = [words / line.split("\t")[0] for line in (words / "train_list.txt").read_text().splitlines()]
    plan = MultiScaleSampler([len(images)], read_aspects(images), None, SIZES, 4, seed=0).plan(1)
    assert len(plan) == 15  # so the save of step 20 is five batches into the second epoch,
    assert len({batch.size for batch in plan[5:]}) == 3  # with batches of several sizes to come

    whole, cut = _train_whole_and_cut(tmp_path, [*BY_RATIO, f"dataset.root={words}", "augment=rec"], kill_after=22)
    _assert_equal_runs(whole, cut, steps=30)


def test_a_recogniser_on_endless_words_goes_on_exactly(tmp_path: Path) -> None:
    endless = [
        "dataset=synth_rec", "dataset.endless=true", "dataset.train_words=24", "dataset.val_words=4",
        "dataset.workers=1", f"dataset.cache_dir={tmp_path / 'cache'}",
    ]  # fmt: skip
    whole, cut = _train_whole_and_cut(tmp_path, endless, kill_after=14)
    _assert_equal_runs(whole, cut, steps=16)  # 8 an epoch: saved in the middle of the second


def test_a_recogniser_on_shards_goes_on_exactly(tmp_path: Path) -> None:
    """Two sets of shards with a share of each batch each, and batches of similar aspect."""
    word_shards(tmp_path / "words", [9, 7, 10])
    word_shards(tmp_path / "words", [4], "val")
    members = [
        (f"{i}.{suffix}", data) for i in range(14)
        for suffix, data in (("png", png(17 * i, (16, 30 + 3 * i))), ("txt", f"w{i}".encode()))
    ]  # fmt: skip
    write_tar(tmp_path / "words" / "wide-0.tar", members)
    streamed = [
        "dataset=rec_shards", f"dataset.root={tmp_path / 'words'}", 'dataset.train=["train-*.tar","wide-*.tar"]',
        "dataset.samples=24", "dataset.buffer=10", f"dataset.cache_dir={tmp_path / 'cache'}",
        "charset.characters=w0123456789", "loader.batch_shares=[1,1]", "loader.multi_scale.by_ratio=true",
        "loader.multi_scale.fix_batch=true",
    ]  # fmt: skip
    whole, cut = _train_whole_and_cut(tmp_path, streamed, kill_after=10)
    _assert_equal_runs(whole, cut, steps=12)  # 6 an epoch: saved in the middle of the second, in the middle of a buffer


def _assert_equal_runs(whole: Path, cut: Path, steps: int) -> None:
    """Weights, optimizer, average, what is known of the best, and the loss of every step: bit for bit."""
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
    assert len(losses[0]) == steps


def _column(path: Path, name: str) -> list[tuple[str, str]]:
    import csv

    with path.open() as file:
        return [(row["step"], row[name]) for row in csv.DictReader(file) if row[name]]
