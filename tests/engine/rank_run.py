"""One rank of a training; started by test_distributed.py through paddle.distributed.launch.

python rank_run.py FOLDER MODE …: trains in FOLDER/MODE, one mode after the other. Modes of the stand-ins are plain, nan
(rank 1 meets one), slow (long enough to be interrupted), pause (as slow; a rank waits 6 seconds for another) and thaw
(a part learns from step 2 on, at a rate of its own);
rec is a recognizer on the words that are drawn in FOLDER/words; gradients compares those of a detector.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rank_gradients import compare_gradients
from rec_words import BY_RATIO, MODEL
from standins import Closeness, FakeEvalLoader, FakeLoader, Net, make_batch, make_trainer, read_value

from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, write_job
from ocrexp.engine import distributed
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.gloo import set_gloo_timeout
from ocrexp.engine.seed import seed_everything
from ocrexp.engine.validation import Validation
from ocrexp.errors import OcrexpError
from ocrexp.models.layers import is_batch_norm
from ocrexp.runs.fit import build_trainer
from ocrexp.types import Batch


class RankLoader(FakeLoader):
    """This rank's contiguous part of each global batch of 8; rank 1 has nothing in the second batch of epoch 1."""

    def __init__(self, mode: str) -> None:
        self.rank, self.world = distributed.rank(), distributed.world_size()
        super().__init__(24, 8 // self.world)
        self.mode = mode

    def __len__(self) -> int:
        return 3

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = np.random.default_rng([1, epoch]).permutation(24)
        for number in range(start, 3):
            part = order[number * 8 :][:8][self.rank * self.batch_size :][: self.batch_size]
            batch = make_batch(part, epoch)
            if epoch == 1 and number == 1 and self.rank == self.world - 1:
                batch = {}
            if self.mode == "nan" and epoch == 1 and number == 2 and self.rank == 1:
                batch["target"][2] = np.nan
            if self.mode in ("slow", "pause"):
                time.sleep(0.05)
            yield batch


class RankEvalLoader(FakeEvalLoader):
    """Every image on one rank."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        for index in range(distributed.rank(), self.images, distributed.world_size()):
            yield [self._part(index)]


def trainer_of(run_dir: Path, mode: str) -> Any:
    """Neither norms nor dropout: both see a rank's samples by themselves. The loss is a mean over samples."""
    seed_everything(5)
    part: Any = {"frozen": ["conv"], "unfreeze": 2, "rates": {"conv": 0.5}} if mode == "thaw" else {}
    return make_trainer(
        run_dir,
        **part,
        loader=RankLoader(mode),
        model=Net(batch_norm=False, dropout=0.0),
        validation=Validation(Evaluator(RankEvalLoader(7), read_value, Closeness())),
        max_epochs=2000 if mode == "pause" else 200 if mode == "slow" else 2,
        ema_decay=0.9,
        log_every_steps=1,
        eval_every_epochs=None if mode in ("slow", "pause") else 1,
    )


def _check_timeout() -> None:
    """Both contexts of gloo wait longer than its own 30 seconds."""
    import paddle

    group = paddle.distributed.collective._get_default_group().process_group
    assert set_gloo_timeout(group, 7_200_000) == 2


def recognizer_of(run_dir: Path) -> Any:
    """An epoch of a CRNN in batches of several sizes, 8 images of the first; norms keep and use their statistics."""
    config = compose(
        "train",
        [
            *MODEL, *BY_RATIO, f"dataset.root={run_dir.parent / 'words'}", "augment=rec", "loader.num_workers=0",
            f"loader.batch_size={8 // distributed.world_size()}", "loader.drop_last=true", "trainer.max_epochs=1",
            "callbacks=none", "callbacks.report={_target_:ocrexp.engine.callbacks.report.EvaluationReport}",
        ],
    )  # fmt: skip
    write_job(run_dir, config, JobInfo(name="rec"))
    trainer = build_trainer(run_dir, config)
    for layer in trainer.model.sublayers():
        if is_batch_norm(layer):
            layer._use_global_stats = True
    return trainer


def keep_gradients(trainer: Any) -> dict[str, np.ndarray]:
    """A dict that gets the gradients of the trainer's first step."""
    first: dict[str, np.ndarray] = {}
    update = trainer._stepper._update

    def watched() -> None:
        if not first:
            learned = [(name, value) for name, value in trainer.model.named_parameters() if not value.stop_gradient]
            first.update({name: value.grad.numpy().copy() for name, value in learned})
        update()

    trainer._stepper._update = watched
    return first


def connect(minutes: float = 120.0) -> None:
    """One process group for all modes; a process waits that long for another."""
    distributed.start_process_group(minutes)
    if distributed.world_size() > 1 and minutes == 120.0:
        _check_timeout()
    distributed.start_process_group = lambda *_: True  # type: ignore[assignment]


def main() -> int:
    folder, modes = Path(sys.argv[1]), sys.argv[2:]
    distributed.set_device("cpu")
    connect(0.1 if modes == ["pause"] else 120.0)
    try:
        for mode in modes:
            run_dir = folder / mode
            if mode == "gradients":
                run_dir.mkdir(exist_ok=True)
                (run_dir / f"equal_{distributed.rank()}.json").write_text(json.dumps(compare_gradients()))
                continue
            trainer = recognizer_of(run_dir) if mode == "rec" else trainer_of(run_dir, mode)
            first = keep_gradients(trainer)
            result = trainer.fit()
            np.savez(run_dir / f"gradients_{distributed.rank()}.npz", **first)
            if result.exit_code:
                return result.exit_code
        return 0
    except OcrexpError as error:
        print(f"ocrexp: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
