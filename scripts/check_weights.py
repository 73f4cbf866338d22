"""Exchange checkpoints with PaddleOCR's own code in both directions: weights, the optimizer's state and the epoch.

    python scripts/check_weights.py --paddleocr SITE_PACKAGES/paddleocr [model=db_mbv3 KEY=VALUE ...]

The folder is that of paddleocr 2.10, whose wheel has the code that saves and loads, and no networks: both sides train
ours, whose names and shapes are PaddleOCR's (compared with recorded ones in `tests/models`). Two steps are trained on
drawn images, and saved by a run's code and by PaddleOCR's `save_model`. Then PaddleOCR's `load_model` takes our
checkpoint as `Global.checkpoints`, and `trainer.start_from` takes PaddleOCR's. A third step must give, bit for bit, the
weights of the training that went on. Exit code 1 where it does not.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import paddle
from omegaconf import DictConfig, OmegaConf

from ocrexp.assemble import Parts, assemble
from ocrexp.config.check import check
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.plain import trainer_settings
from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.saving import RunIdentity, Saver
from ocrexp.engine.seed import seed_everything
from ocrexp.engine.start_from import start_from
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import Stepper
from ocrexp.loggers.group import LoggerGroup

EPOCH = 1  # that the checkpoints state as finished
RATE = 1e-3
QUIET = ("callbacks=none", "logger=none", "trainer.device=cpu", "loader.num_workers=0", "loader.batch_size=4")


class Training:
    """A training in this process, whose layers are numbered as in a new one."""

    def __init__(self, config: DictConfig) -> None:
        seed_everything(config.seed)
        with paddle.utils.unique_name.guard():  # a process of its own counts from 0
            self.parts: Parts = assemble(config)
            self.model, self.optimizer = self.parts.learns, self.parts.optimizer
        self.settings = trainer_settings(config)

    def step(self, batches: list[Any]) -> dict[str, Any]:
        """One step for each batch; the weights after them."""
        stepper = Stepper(self.parts.model, self.parts.loss, self.optimizer, self.settings)
        with paddle.utils.unique_name.guard():
            for number, batch in enumerate(batches):
                paddle.seed(number)
                stepper.run(iter([batch]), 1, RATE, lambda: False)
        return {name: value.numpy().copy() for name, value in self.model.state_dict().items()}


def main() -> int:
    """Returns 0 where both directions agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--paddleocr", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", default=["model=db_mbv3"])
    given = parser.parse_intermixed_args()
    sys.path.append(str(given.paddleocr.absolute()))
    from ppocr.utils import save_load

    setup_hydra()
    config = compose("train", [*QUIET, *given.overrides])
    OmegaConf.set_struct(config, False)
    with tempfile.TemporaryDirectory(prefix="ocrexp-weights-") as temporary:
        folder = Path(temporary)
        config.run_dir = str(folder / "run")
        check(config)
        first = Training(config)
        batches = list(itertools.islice(first.parts.train_loader.epoch(0), 3))
        first.step(batches[:2])
        ours = save(first, folder / "ours")
        theirs = {"Architecture": {"model_type": config.task}, "Global": {}}
        save_load.save_model(
            first.model, first.optimizer, str(folder / "theirs"), logging.getLogger(), theirs, prefix="latest",
            best_model_dict={"hmean": np.float64(0.5)}, epoch=EPOCH, global_step=2,
        )  # fmt: skip
        expected = first.step(batches[2:])

        loaded = Training(config)
        checkpoint = {"Architecture": {"algorithm": ""}, "Global": {"checkpoints": str(ours)}}
        states = save_load.load_model(checkpoint, loaded.model, loaded.optimizer, config.task)
        good = equal("PaddleOCR's load_model of our checkpoint", loaded.step(batches[2:]), expected)
        print(f"  it starts with epoch {states.get('start_epoch')} (expected {EPOCH + 1})")
        good = good and states.get("start_epoch") == EPOCH + 1

        loaded = Training(config)
        state = start_from(loaded.model, loaded.optimizer, folder / "theirs" / "latest", loaded.parts.plan)
        good = equal("trainer.start_from of PaddleOCR's checkpoint", loaded.step(batches[2:]), expected) and good
        print(f"  it continues after epoch {state.epoch} (expected {EPOCH})")
    return int(not good or state.epoch != EPOCH)


def save(training: Training, folder: Path) -> Path:
    """A checkpoint as a run writes it; its states also under the name that PaddleOCR looks for."""
    store = CheckpointStore(folder)
    stepper = Stepper(training.parts.model, training.parts.loss, training.optimizer, training.settings)
    identity = RunIdentity(0, 1, 2, {})
    saver = Saver(store, training.model, stepper, None, {}, LoggerGroup({}), identity, {})
    saver.save("latest", TrainState(step=2, epoch=EPOCH))
    stem = store.folder / "latest"
    shutil.copy(stem.with_suffix(".pdstates"), stem.with_suffix(".states"))
    return stem


def equal(what: str, found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Print how many tensors are equal bit for bit; whether all are."""
    same = sum(np.array_equal(found[name], value) for name, value in expected.items())
    print(f"{what}: {same} of {len(expected)} tensors equal after the next step")
    return same == len(expected)


if __name__ == "__main__":
    sys.exit(main())
