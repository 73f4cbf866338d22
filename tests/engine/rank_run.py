"""One rank of a training of the stand-ins; started by test_distributed.py through paddle.distributed.launch.

python rank_run.py RUN_DIR MODE: plain, nan (rank 1 meets one) or slow (long enough to be interrupted).
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from standins import Closeness, FakeEvalLoader, FakeLoader, Net, make_batch, make_trainer, read_value

from ocrexp.engine import distributed
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.seed import seed_everything
from ocrexp.errors import OcrexpError
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
            if self.mode == "slow":
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
    return make_trainer(
        run_dir,
        loader=RankLoader(mode),
        model=Net(batch_norm=False, dropout=0.0),
        evaluator=Evaluator(RankEvalLoader(7), read_value, Closeness()),
        max_epochs=200 if mode == "slow" else 2,
        ema_decay=0.9,
        log_every_steps=1,
        eval_every_epochs=1 if mode != "slow" else None,
    )


def main() -> int:
    run_dir, mode = Path(sys.argv[1]), sys.argv[2]
    distributed.set_device("cpu")
    distributed.start_process_group()
    try:
        trainer = trainer_of(run_dir, mode)
        first = []
        update = trainer._stepper._update

        def watched() -> None:
            if not first:
                first.append({name: value.grad.numpy().copy() for name, value in trainer.model.named_parameters()})
            update()

        trainer._stepper._update = watched
        result = trainer.fit()
        np.savez(run_dir / f"gradients_{distributed.rank()}.npz", **first[0])
        return result.exit_code
    except OcrexpError as error:
        print(f"ocrexp: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
