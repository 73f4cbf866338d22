"""Runs told to a logger without a training, and what a viewer's server answers about them."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.loggers.base import Logger, RunInfo

CONFIG = {
    "optim": {"lr": 0.001, "lr_scale": None},
    "model": {"backbone": {"scale": 0.5, "no_se": True}},
    "dataset": {"root": "/data/发票 (1)"},
    "augment": [{"flip": 0.5}],
    "fingerprint": {"train": "abc"},
}
PICTURE = np.full((8, 12, 3), (255, 0, 0), np.uint8)


def interrupt_and_resume(make: Callable[[], Logger], folder: Path) -> None:
    """A run that is stopped after step 20, resumed from step 10 and done at step 30; `make` makes its logger."""
    run = RunInfo(
        "optim.lr=0.001", folder, CONFIG, group="lr", overrides=("optim.lr=0.001",),
        environment={"git": {"commit": "c0ffee", "branch": "main", "diff": "-a\n+b"}, "python": "3.11"},
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    first = make()
    first.start(run)
    first.log_metrics({"train/loss": 1.0}, 10)
    first.log_metrics({"val/hmean": 0.5, "val/accuracy_length/1_5": 0.25}, 10)
    first.log_images("val/predictions", [PICTURE], 10, ["page 1"])
    state = first.state_dict()
    first.log_metrics({"train/loss": 9.0}, 20)
    first.finish("interrupted")
    second = make()
    second.start(RunInfo(**{**_fields(run), "resumed": True, "resume_step": 10, "state": state}))
    second.log_metrics({"train/loss": 0.5}, 20)
    second.log_metrics({"val/hmean": 0.75}, 30)
    second.log_summary({"best/hmean": 0.75})
    second.finish("done")


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON that a server answers."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
        return json.load(answer)


def until(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """The first answer that is not empty; a server reads its files in the background."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"no answer within {seconds} s")


def _fields(run: RunInfo) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__slots__}
