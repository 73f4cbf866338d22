"""Pictures of the first samples: those that can be used, and a line for those that cannot."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.charset.sources import from_characters
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.sampler import EpochSampler
from ocrexp.data.targets.db import DBTargets
from ocrexp.data.targets.text import TextTargets
from ocrexp.drawing import MISSED
from ocrexp.engine.callbacks.first_samples import FirstSamples
from ocrexp.report.targets import text_cell
from ocrexp.tasks.find import find_task
from ocrexp.types import Record


class Run:
    def __init__(self, folder: Path, records: list[Record], targets: Any = None) -> None:
        self.run_dir = folder
        self.step = 0
        self.loggers = self
        self.task = find_task("rec" if targets else "det")
        self.images: list[tuple[str, int]] = []
        self.stopped = ""
        self.train_loader = SimpleNamespace(
            pipeline=TrainPipeline(records, [targets or DBTargets()], 0),
            sampler=EpochSampler([len(records)], None, 2, 0, shuffle=False),
        )

    def log_images(self, name: str, images: list[Any], step: int) -> None:
        self.images.append((name, len(images)))

    def request_stop(self, reason: str) -> None:
        self.stopped = reason


def test_an_unusable_sample_is_named_and_the_others_are_drawn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / "good.png"), np.full((60, 80, 3), 90, np.uint8))
    region = np.array([[5, 5], [50, 5], [50, 30], [5, 30]], np.float32)
    records = [
        Record(tmp_path / f"{name}.png", ("word",), (region,), (False,), f"list.txt:{line}")
        for line, name in enumerate(("gone", "good"), start=1)
    ]
    run = Run(tmp_path, records)
    with caplog.at_level(logging.INFO):
        FirstSamples(count=2, stop=True).on_fit_start(run)  # type: ignore[arg-type]
    assert [path.name for path in (tmp_path / "plots" / "targets").iterdir()] == ["00.jpg"]
    assert run.images == [("targets", 1)]
    assert "debug=targets" in run.stopped
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "gone.png (list.txt:1)" in line
    assert "image file is missing" in line
    assert "1 samples" in caplog.text


def test_texts_are_drawn_on_one_sheet_with_what_their_labels_say(tmp_path: Path) -> None:
    for name in ("one", "two"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((32, 100, 3), 90, np.uint8))
    records = [Record(tmp_path / f"{name}.png", (text,)) for name, text in (("one", "a b"), ("two", "ab!"))]
    targets = TextTargets(from_characters("ab ", unknown="drop"), kinds=["ctc", "nrtr"])
    run = Run(tmp_path, records, targets)
    FirstSamples(count=2).on_fit_start(run)  # type: ignore[arg-type]
    assert [path.name for path in (tmp_path / "plots" / "targets").iterdir()] == ["00.jpg"]
    assert run.images == [("targets", 1)]
    assert run.stopped == ""
    sample = run.train_loader.pipeline.sample(1, 0)
    assert targets.read(sample) == {"ctc": "ab", "nrtr": "ab"}, "what is dropped is not learnt, and shows"
    drawn = text_cell(sample, targets.read(sample))
    assert (np.abs(drawn.astype(int) - MISSED).max(axis=2) < 12).any()
    drawn = text_cell(sample | {"valid_width": 40}, {})
    assert (drawn[10:60] == 45).any(), "padding is darker"
