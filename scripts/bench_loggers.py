"""Measures what loggers cost a training: time and processor seconds of an interval of values, and of the pictures.

    python scripts/bench_loggers.py                        # csv, tensorboard, visualdl, mlflow, wandb offline
    python scripts/bench_loggers.py --loggers wandb --step-seconds 0.2 --every 10

An interval is what a training logs every `trainer.log_every_steps` steps. `waits` is the time for which the training
stands still, `busy` the processor time of this process and of those that the logger has started, both per interval. The
shares are of an interval of `--every` steps of `--step-seconds`. To measure W&B online, set WANDB_BASE_URL and
WANDB_API_KEY and add --online.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ocrexp.loggers.base import BaseLogger, Logger, RunInfo, SampleRow

VALUES = {"train/loss": 0.5, "train/loss_shrink": 0.3, "train/loss_threshold": 0.1, "train/loss_binary": 0.1,
          "train/lr": 1e-3, "train/images_per_second": 40.0, "train/data_wait": 0.01, "train/epoch": 1.5}  # fmt: skip
CONFIG = {"optim": {"lr": 0.001}, "fingerprint": {"train": "abc"}}
PICTURES, ROWS, SIZE = 8, 30, (480, 640, 3)


def make(name: str, folder: Path, online: bool) -> Logger:
    """The logger of a name, which writes into the folder."""
    options: dict[str, Any] = {}
    if name == "wandb":
        options = {"mode": "online" if online else "offline"}
    if name == "mlflow":
        options = {"tracking_uri": f"sqlite:///{folder}/mlflow.db"}
    classes = {"csv": "CSVLogger", "tensorboard": "TensorBoardLogger", "visualdl": "VisualDLLogger",
               "mlflow": "MLflowLogger", "wandb": "WandbLogger"}  # fmt: skip
    logger: Logger = getattr(importlib.import_module(f"ocrexp.loggers.{name}"), classes[name])(**options)
    return logger


def busy_seconds() -> float:
    """Processor seconds of this process and of its children, those that have ended included."""
    times = psutil.Process().cpu_times()
    own = times.user + times.system + times.children_user + times.children_system
    running = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            running += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return own + running


def measured(call: Callable[[int], None], count: int, pause: float) -> tuple[float, float]:
    """Median seconds for which a call holds the training up, and processor seconds per call."""
    waits = []
    began = busy_seconds()
    for step in range(1, count + 1):
        start = time.perf_counter()
        call(step)
        waits.append(time.perf_counter() - start)
        time.sleep(pause)
    return statistics.median(waits), (busy_seconds() - began) / count


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["csv", "tensorboard", "visualdl", "mlflow", "wandb"]
    parser.add_argument("--loggers", nargs="+", choices=names, default=names)
    parser.add_argument("--intervals", type=int, default=200)
    parser.add_argument("--step-seconds", type=float, default=0.2, help="of one training step")
    parser.add_argument("--every", type=int, default=10, help="steps of an interval")
    parser.add_argument("--online", action="store_true", help="W&B: send to WANDB_BASE_URL")
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, SIZE, dtype=np.uint8) for _ in range(PICTURES)]
    rows = [SampleRow(pictures[0][:48, :160], f"{n}.png", "TOTAL", "T0TAL", 0.5) for n in range(ROWS)]
    interval = given.step_seconds * given.every
    print(
        f"{'logger':12} {'waits ms':>9} {'busy ms':>8} {'waits':>8} {'busy':>8}   pictures and table: waits ms, busy ms"
    )
    for name in given.loggers:
        with tempfile.TemporaryDirectory() as place:
            logger = make(name, Path(place), given.online)
            logger.start(RunInfo("bench", Path(place), CONFIG))
            time.sleep(2.0)  # what it does once at the start
            waits, busy = measured(lambda step, to=logger: to.log_metrics(VALUES, step), given.intervals, 0.005)

            def show(step: int, to: Logger = logger) -> None:
                to.log_images("val/predictions", pictures, given.intervals + step)
                if isinstance(to, BaseLogger) and to.wants_samples:
                    to.log_samples("val/samples", rows, given.intervals + step)

            images = measured(show, 3, 0.2)
            logger.finish("done")
        print(
            f"{name:12} {1000 * waits:9.3f} {1000 * busy:8.2f} {waits / interval:8.3%} {busy / interval:8.3%}   "
            f"{1000 * images[0]:.0f}, {1000 * images[1]:.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
