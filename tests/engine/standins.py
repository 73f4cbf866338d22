"""A network of a few weights and a loader of made-up images: the trainer's parts, small enough to run in moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from ocrexp.data.sample_counts import SampleCounts
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.seed import seed_everything
from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.engine.thaw import Thaw
from ocrexp.engine.trainer import Trainer
from ocrexp.engine.validation import Validation
from ocrexp.located import remember
from ocrexp.loggers.base import BaseLogger, RunInfo
from ocrexp.loggers.group import LoggerGroup
from ocrexp.models.freezing import freeze
from ocrexp.optim.optimizers import Adam, build_optimizer
from ocrexp.optim.rates import rate_factors
from ocrexp.optim.schedules import Cosine
from ocrexp.types import Batch


class Net(paddle.nn.Layer):
    """[N, 8, 8, 3] to [N, 1]; with dropout, so that a step needs its random numbers."""

    def __init__(self, batch_norm: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 4, 3)
        self.norm = paddle.nn.BatchNorm2D(4) if batch_norm else paddle.nn.Identity()
        self.drop = paddle.nn.Dropout(dropout)
        self.fc = paddle.nn.Linear(4, 1)

    def forward(self, images: paddle.Tensor, targets: Any = None) -> dict[str, paddle.Tensor]:
        x = self.norm(self.conv(images.transpose([0, 3, 1, 2])))
        return {"value": self.fc(self.drop(paddle.nn.functional.relu(x).mean(axis=[2, 3])))}


def squared_error(outputs: dict[str, paddle.Tensor], batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
    """A mean over samples, so that gradients of parts of a batch average to that of the whole."""
    near = ((outputs["value"][:, 0] - batch["target"]) ** 2).mean()
    small = (outputs["value"] ** 2).mean()
    return {"loss": near + 0.1 * small, "near": near, "small": small}


class FakeLoader:
    """Batches that depend on (epoch, index) alone. `spoil(batch, epoch, number)` may change one."""

    def __init__(self, samples: int = 24, batch_size: int = 4, spoil: Any = None) -> None:
        self.dataset_size = samples
        self.batch_size = batch_size
        self.wait_seconds = 0.0
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.counts: SampleCounts = {}
        self.num_workers = 0
        self._spoil = spoil

    def __len__(self) -> int:
        return self.dataset_size // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        self.rejected = Counter()
        order = np.random.default_rng([1, epoch]).permutation(self.dataset_size)
        for number in range(start, len(self)):
            indices = order[number * self.batch_size :][: self.batch_size]
            batch = make_batch(indices, epoch)
            yield self._spoil(batch, epoch, number) if self._spoil else batch

    def close(self) -> None:
        pass


def make_batch(indices: Any, epoch: int = 0) -> Batch:
    images = np.stack([np.random.default_rng([int(i), epoch]).random((8, 8, 3), dtype=np.float32) for i in indices])
    return {"image": images, "target": images.mean(axis=(1, 2, 3)) * 3 - 1, "index": np.asarray(indices, np.int64)}


class FakeEvalLoader:
    """`images` images in batches of 2; image 1 cannot be read."""

    def __init__(self, images: int = 6, unreadable: tuple[int, ...] = ()) -> None:
        self.images = images
        self.counts: SampleCounts = {}
        self.unreadable = unreadable

    def __len__(self) -> int:
        return (self.images + 1) // 2

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        for first in range(0, self.images, 2):
            yield [self._part(index) for index in range(first, min(first + 2, self.images))]

    def close(self) -> None:
        pass

    def _part(self, index: int) -> Batch:
        batch = make_batch([1000 + index])
        return {
            "image": None if index in self.unreadable else batch["image"],
            "shape": np.ones((1, 4)),
            "references": [float(batch["target"][0])],
            "index": batch["index"],
            "paths": [f"image_{index}.jpg"],
        }


def read_value(outputs: dict[str, Any], batch: Batch) -> list[float]:
    assert len(outputs["value"]) == len(batch["references"])
    return [float(value) for value in outputs["value"][:, 0]]


class Closeness:
    """Main value in 0..1, 1 where predictions equal references."""

    main = "closeness"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.seen: list[tuple[Any, float]] = []

    def update(self, predictions: list[Any], references: list[Any]) -> None:
        self.seen += zip(predictions, references, strict=True)

    def compute(self) -> dict[str, float]:
        errors = [abs(p - r) if isinstance(p, float) else 9.0 for p, r in self.seen]
        return {"closeness": 1 / (1 + float(np.mean(errors))), "images": float(len(self.seen))}

    def state(self) -> Any:
        return self.seen

    def merge(self, states: list[Any]) -> None:
        for state in states:
            self.seen += state


class Recorder(BaseLogger):
    """Keeps what a logger is told."""

    def __init__(self) -> None:
        self.run: RunInfo | None = None
        self.values: list[tuple[int, dict[str, float]]] = []
        self.artifacts: list[Path] = []
        self.summary: dict[str, float] = {}
        self.finished: list[str] = []

    def start(self, run: RunInfo) -> None:
        self.run = run

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.values.append((step, values))

    def log_summary(self, values: dict[str, float]) -> None:
        self.summary.update(values)

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        self.artifacts.append(path)

    def finish(self, state: str) -> None:
        self.finished.append(state)

    def state_dict(self) -> dict[str, Any]:
        return {"id": "abc"}


def make_trainer(
    run_dir: Path,
    *,
    loader: FakeLoader | None = None,
    evaluator: Evaluator | None = None,
    validation: Validation | None = None,
    model: paddle.nn.Layer | None = None,
    loss: Any = squared_error,
    seed: int = 5,
    lr: float = 0.01,
    callbacks: Any = None,
    logger: Recorder | None = None,
    fingerprints: Any = None,
    causes: Any = lambda _: [],
    task: Any = None,
    clip_norm: float | None = None,
    pretrained: bool = False,
    optimizer: Any = None,
    schedule: Any = Cosine,
    rates: dict[str, float] | None = None,
    frozen: list[str] | None = None,
    unfreeze: int | None = None,
    stopped_by: str | None = None,
    **settings: Any,
) -> Trainer:
    """A trainer of stand-ins; `settings` are those of `trainer`, `rates` factors by parts of the model."""
    loader = loader or FakeLoader()
    ours = TrainerSettings(**{"max_epochs": 2, "device": "cpu", "log_every_steps": 2, **settings})
    remember(ours, "trainer")  # as the configuration does
    plan = RunPlan.make(ours, len(loader))
    seed_everything(seed)
    model = model or Net()
    fixed = freeze(model, frozen) if frozen else None
    thaw = Thaw.checked(unfreeze, fixed) if unfreeze else None
    names = [name for name, _ in model.named_parameters()]
    factors = rate_factors(names, names, rates or {})
    return Trainer(
        model=model,
        loss=loss,
        optimizer=build_optimizer(
            model,
            optimizer or Adam(),
            lr=lr,
            clip_norm=clip_norm,
            rates=factors.parameters,
            later=thaw.frozen.parameters if thaw else (),
        ),
        schedule=schedule(lr=lr, total_steps=plan.total_steps, steps_per_epoch=plan.steps_per_epoch),
        train_loader=loader,
        validation=validation
        or Validation(
            evaluator or Evaluator(FakeEvalLoader(), read_value, Closeness(), limit_batches=ours.limit_val_batches)
        ),
        settings=ours,
        plan=plan,
        seed=seed,
        run=RunInfo(name="tiny", run_dir=run_dir, config={"seed": seed}),
        callbacks=callbacks,
        loggers=LoggerGroup({"recorder": logger} if logger else {}),
        fingerprints=fingerprints,
        sample_name="images/{}.jpg".format,
        causes=causes,
        task=task,
        pretrained=pretrained,
        thaw=thaw,
        rates=factors.groups,
        stopped_by=stopped_by,
    )


def weights(trainer: Trainer) -> dict[str, np.ndarray]:
    """A copy of the model's state."""
    return {key: value.numpy().copy() for key, value in trainer.model.state_dict().items()}


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    """Equal bit for bit."""
    assert left.keys() == right.keys()
    for key in left:
        assert np.array_equal(np.asarray(left[key]), np.asarray(right[key])), key
