"""The line about the curves goes to the console and to status.json; a healthy run has none."""

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from standins import Closeness, FakeEvalLoader, FakeLoader, make_trainer, read_value

from ocrexp.engine.callbacks.watch import CurveWatch
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.seed import seed_everything
from ocrexp.engine.status import read_status, write_status
from ocrexp.errors import TrainingError
from ocrexp.loggers.csv import CSVLogger
from ocrexp.optim.optimizers import Momentum
from ocrexp.optim.schedules import Constant, Cosine

HEAD = "step,train/loss,val/loss,val/hmean\n"


class Run:
    main_metric = "hmean"

    def __init__(self, folder: Path) -> None:
        self.run_dir = folder


def rows(rise: float) -> str:
    """Ten evaluations; the validation loss rises by `rise` from step 400 on."""
    lines = []
    for number in range(1, 31):
        step = 33 * number if number % 3 else 100 * number // 3
        val = f"{max(3 - step / 150, 0.6) + rise * max(step - 400, 0) / 600:.3f},0.700" if number % 3 == 0 else ","
        lines.append(f"{step},{3 * 0.9**number:.4f},{val}\n")
    return HEAD + "".join(lines)


def test_the_line_is_printed_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics.csv").write_text(rows(2.0))
    write_status(tmp_path, state="running", step=1000, best_value=0.7)
    with caplog.at_level(logging.INFO):
        CurveWatch().on_fit_end(Run(tmp_path), "done")
    status = read_status(tmp_path)
    assert status is not None and status["state"] == "running" and status["best_value"] == 0.7
    (note,) = status["notes"]
    assert note.startswith("overfitting since step 400: val/loss rose from 0.6")
    assert note in caplog.text
    write_status(tmp_path, state="done")
    assert (read_status(tmp_path) or {})["notes"] == [note]
    (tmp_path / "metrics.csv").write_text(HEAD)  # the run was resumed from an earlier step
    CurveWatch().on_fit_end(Run(tmp_path), "done")
    assert (read_status(tmp_path) or {})["notes"] == []


def test_a_run_without_curves_has_no_line(tmp_path: Path) -> None:
    CurveWatch().on_fit_end(Run(tmp_path), "failed")
    assert list(tmp_path.iterdir()) == []


def wrong_from_epoch_6(batch, epoch, number):
    """Labels that nothing can learn, so that the loss rises and stays."""
    return {**batch, "target": batch["target"] + (40 * (-1) ** number if epoch >= 6 else 0)}


class Images:
    """Fixed images with fixed values: the mean of a part of the image, and noise."""

    def __init__(self, first: int, count: int, noise: float) -> None:
        generators = [np.random.default_rng([9, first + number]) for number in range(count)]
        self.images = np.stack([each.random((8, 8, 3), dtype=np.float32) for each in generators])
        learnable = (self.images[:, :4].mean(axis=(1, 2, 3)) - 0.5) * 12
        self.values = (learnable + noise * np.array([each.standard_normal() for each in generators])).astype(np.float32)


class TrainImages(FakeLoader):
    """Images with noisy values, the same ones in each epoch, or `fresh` ones, as augmentation makes them."""

    def __init__(self, count: int, noise: float, fresh: bool) -> None:
        super().__init__(count, 8)
        self.data = Images(0, count, noise)
        self.noise, self.fresh = noise, fresh

    def epoch(self, epoch: int, start: int = 0) -> Generator[dict, None, None]:
        if self.fresh:
            self.data = Images(10_000 * (epoch + 1), self.dataset_size, self.noise)
        order = np.random.default_rng([2, epoch]).permutation(self.dataset_size)
        for number in range(start, len(self)):
            rows = order[8 * number : 8 * number + 8]
            yield {"image": self.data.images[rows], "target": self.data.values[rows], "index": rows}


class EvalImages(FakeEvalLoader):
    def __init__(self, images: Images) -> None:
        super().__init__(len(images.images))
        self.data = images

    def __len__(self) -> int:
        return 1

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[dict]]:
        rows = np.arange(self.images)
        yield [
            {
                "image": self.data.images, "shape": np.ones((self.images, 4)), "references": list(self.data.values),
                "index": rows, "paths": [str(row) for row in rows], "targets": {"target": self.data.values},
                "target_rows": rows,
            }
        ]  # fmt: skip


class Perceptron(paddle.nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.layers = paddle.nn.Sequential(paddle.nn.Linear(192, 64), paddle.nn.ReLU(), paddle.nn.Linear(64, 1))

    def forward(self, images, targets=None):
        return {"value": self.layers(images.reshape([len(images), -1]) - 0.5)}

    def evaluated(self, images, known, targets, rows):
        outputs = self.forward(images)
        return outputs, outputs


def error(outputs, batch):
    return {"loss": ((outputs["value"][:, 0] - batch["target"]) ** 2).mean()}


class Close(Closeness):
    """The share of values with an error below 0.5."""

    def compute(self) -> dict[str, float]:
        return {"closeness": float(np.mean([abs(float(p) - float(r)) < 0.5 for p, r in self.seen]))}


def trained(
    run_dir: Path, train: TrainImages, lr: float, epochs: int, optimizer: Any = None, schedule: Any = Cosine
) -> list[str]:
    """The notes of a real run on images, evaluated on others of the same kind."""
    seed_everything(1)
    evaluator = Evaluator(EvalImages(Images(1000, 64, 0.1)), read_value, Close(), loss=error)
    trainer = make_trainer(
        run_dir, model=Perceptron(), loss=error, loader=train, evaluator=evaluator, lr=lr,
        optimizer=optimizer, schedule=schedule, logger=CSVLogger(), callbacks={"watch": CurveWatch()},
        max_epochs=epochs, log_every_steps=max(1, len(train) * epochs // 40), eval_every_epochs=max(1, epochs // 10),
    )  # fmt: skip
    with contextlib.suppress(TrainingError):  # of the loss that is not finite
        trainer.fit()
    status = read_status(run_dir)
    assert status is not None and status["state"] in ("done", "failed")
    return [note.split()[0] for note in status.get("notes", [])]


@pytest.mark.parametrize(("spoil", "kind"), [(None, []), (wrong_from_epoch_6, ["divergence"])])
def test_real_runs(tmp_path: Path, spoil: Callable | None, kind: list[str]) -> None:
    make_trainer(
        tmp_path, lr=0.003, loader=FakeLoader(spoil=spoil), logger=CSVLogger(), callbacks={"watch": CurveWatch()},
        max_epochs=12,
    ).fit()  # fmt: skip
    status = read_status(tmp_path)
    assert status is not None and status["state"] == "done"
    assert [note.split()[0] for note in status.get("notes", [])] == kind


@pytest.mark.parametrize(
    ("images", "lr", "epochs", "optimizer", "schedule", "kind"),
    [
        ((128, 0.05, True), 3e-3, 24, None, Cosine, []),
        ((128, 0.3, True), 1e-3, 24, None, Cosine, []),
        ((16, 2.0, False), 3e-3, 40, None, Cosine, ["overfitting"]),
        ((128, 0.05, True), 1e-7, 12, None, Cosine, ["underfitting"]),
        ((64, 0.05, True), 0.1, 24, None, Constant, ["oscillation"]),
        ((64, 0.05, True), 0.2, 24, Momentum(), Constant, ["divergence"]),
    ],
    ids=["healthy", "healthy with noisy labels", "overfitting", "underfitting", "oscillating", "diverging"],
)
def test_runs_made_to_fail_are_named_and_healthy_ones_are_not(
    tmp_path, images, lr, epochs, optimizer, schedule, kind
) -> None:
    assert trained(tmp_path, TrainImages(*images), lr, epochs, optimizer, schedule) == kind
