"""Trains a tiny DB for 60 steps on drawn images, and ends itself where it is told to; started by test_kill.py.

python db_run.py DATA RUN_DIR [INSTANT]: INSTANT is step:N (after step N), part:N (in the N-th `paddle.save`, half of
the file written) or file:N (at the N-th flush, link or rename). It goes on from RUN_DIR's checkpoints if there are any.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import paddle
from killing import KillAfter, kill

from ocrexp.augment.photometric import ColorJitter
from ocrexp.augment.warp import RandomWarpCrop
from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.lists import DetLists
from ocrexp.data.loaders import build_eval_loader, build_train_loader
from ocrexp.data.targets.db import DBTargets
from ocrexp.data.transforms.resize import DetResize
from ocrexp.engine.callbacks.base import Callback
from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.seed import seed_everything
from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.engine.trainer import Trainer
from ocrexp.engine.validation import Validation
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.csv import CSVLogger
from ocrexp.loggers.group import LoggerGroup
from ocrexp.losses.db import DBLoss
from ocrexp.metrics.det import DetMetric
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN
from ocrexp.optim.optimizers import Adam, build_optimizer
from ocrexp.optim.schedules import Cosine
from ocrexp.postprocess.db import DBPostProcess
from ocrexp.tasks.find import find_task

SEED = 3
LOADER: dict[str, Any] = {
    "batch_size": 2, "eval_batch_size": 1, "num_workers": 2, "prefetch": 2, "shuffle": True, "drop_last": False,
    "rank": 0, "world_size": 1,
}  # fmt: skip


def kill_in_save(number: int) -> None:
    real, calls = paddle.save, [0]

    def save(content: Any, path: str, **more: Any) -> None:
        calls[0] += 1
        real(content, path, **more)
        if calls[0] == number:
            os.truncate(path, os.path.getsize(path) // 2)  # noqa: PTH202
            kill()

    paddle.save = save


def kill_at_file_call(number: int) -> None:
    calls = [0]

    def counted(real: Any) -> Any:
        def wrapped(*given: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                kill()
            return real(*given, **more)

        return wrapped

    os.fsync, os.link = counted(os.fsync), counted(os.link)
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


def main() -> None:
    data, run_dir = Path(sys.argv[1]), Path(sys.argv[2])
    logging.basicConfig(level=logging.WARNING)
    callbacks: dict[str, Callback] = {}
    if len(sys.argv) > 3:
        kind, number = sys.argv[3].split(":")
        if kind == "step":
            callbacks["kill"] = KillAfter(int(number))
        else:
            {"part": kill_in_save, "file": kill_at_file_call}[kind](int(number))

    source = DetLists(data, "train.txt", "val.txt")
    warp = RandomWarpCrop(size=(64, 64), rotate=(-10, 10), scale=(0.8, 1.5))
    pipeline = TrainPipeline(source.train_records(), [warp, ColorJitter(0.2, 0.0, 0.3), DBTargets()], SEED)
    train = build_train_loader(
        pipeline, collate=find_task("det").collate_train, several_sizes=False, ratios=None, seed=SEED, **LOADER
    )
    val = build_eval_loader(
        EvalPipeline(source.val_records(), [DetResize(limit_side_len=64)]),
        collate=find_task("det").collate_eval,
        **LOADER,
    )
    settings = TrainerSettings(
        max_epochs=10, device="cpu", ema_decay=0.9, log_every_steps=1, eval_every_epochs=None, eval_every_steps=14,
        save_every_steps=8, save_latest_every_epochs=None,
    )  # fmt: skip
    paddle.set_device("cpu")
    plan = RunPlan.make(settings, len(train))
    assert plan.total_steps == 60
    seed_everything(SEED)
    model = OCRModel(
        MobileNetV3("small", 0.5),
        lambda in_channels: DBFPN(in_channels, 16),
        head=lambda in_channels: DBHead(in_channels),
        normalize={"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    )  # fmt: skip
    trainer = Trainer(
        model=model,
        loss=DBLoss(),
        optimizer=build_optimizer(model, Adam(), lr=2e-3, weight_decay=1e-4, clip_norm=5.0),
        schedule=Cosine(lr=2e-3, total_steps=60, steps_per_epoch=plan.steps_per_epoch, warmup_steps=5),
        train_loader=train,
        validation=Validation(Evaluator(val, DBPostProcess(), DetMetric())),
        settings=settings,
        plan=plan,
        seed=SEED,
        run=RunInfo(name="db", run_dir=run_dir),
        callbacks=callbacks,
        loggers=LoggerGroup({"csv": CSVLogger()}),
        fingerprints=source.fingerprint(),
        sample_name=pipeline.describe,
    )
    if (run_dir / "checkpoints").exists():
        trainer.restore(CheckpointStore(run_dir).load_for_resume())
    trainer.fit()
    train.close()
    val.close()


if __name__ == "__main__":
    main()
