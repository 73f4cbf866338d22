"""`ocrexp train`: compose, check, train, evaluate at the end. With -m: a sweep of such runs.

Hydra composes and names the folders. A single run on one device trains in this process; the jobs of a sweep, and runs
on several devices, train in processes of their own from the folder's `config_resolved.yaml`. `fit` is the recipe.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.config.compose import setup_hydra
from ocrexp.config.explain import as_config_error
from ocrexp.config.inherit import with_model_of_run
from ocrexp.config.paths import shadowed, shipped_conf
from ocrexp.config.task import with_default_model
from ocrexp.errors import OcrexpError, printable
from ocrexp.lock import release_all

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.engine.trainer import Trainer

log = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> int:
    """Hand the arguments to Hydra, which calls `job` for each run; returns the exit code."""
    from hydra import main as hydra_main

    setup_hydra()
    from ocrexp.config.hooks import SweepTable

    if names := shadowed():
        print(f"ocrexp: your ./conf replaces the shipped {printable(', '.join(names))}", file=sys.stderr)
    outcome = _Outcome()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us as they are, not as Hydra's printed summary
    inherited = with_model_of_run(arguments)
    overrides = with_default_model(inherited)
    if len(overrides) > len(inherited):
        taken = next(item for item in overrides if item not in inherited)
        print(f"ocrexp: {printable(taken)} is taken, as the data set is one of its task", file=sys.stderr)
    sys.argv = ["ocrexp", *overrides]
    try:
        hydra_main(config_path=str(shipped_conf()), config_name="train", version_base="1.3")(outcome.job)()
    except Exception as error:
        explained = as_config_error(error, "train", [item for item in arguments if "=" in item])
        if explained is None:
            raise
        raise explained from error
    finally:
        os.environ.pop("HYDRA_FULL_ERROR", None)
        release_all()  # the folder of the run or of the sweep, which Hydra's callbacks have locked
    if outcome.error is not None:
        raise outcome.error
    return outcome.exit_code or int(not SweepTable.all_done)


class _Outcome:
    """Collects the exit code of Hydra's job, which Hydra itself drops, and its error, to which Hydra adds lines."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.error: OcrexpError | None = None

    def job(self, config: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from ocrexp.config.frozen import JobInfo, write_job
        from ocrexp.engine.devices import settle_devices

        hydra = HydraConfig.get()
        run_dir = Path(hydra.runtime.output_dir)
        if hydra.mode == RunMode.MULTIRUN:
            settle_devices(config)
            from ocrexp.commands.sweep import run_sweep_job

            return run_sweep_job(config, run_dir, hydra)
        try:
            settle_devices(config)
            write_job(run_dir, config, JobInfo(name=f"{config.name} {run_dir.name}"))
            self.exit_code = train_in(run_dir, config)
        except OcrexpError as error:
            self.error = error
        return None


def train_in(run_dir: Path, config: DictConfig, *, resume: bool = False) -> int:
    """Train a prepared run folder on the devices that its checked config asks for; returns the exit code."""
    from ocrexp.engine.devices import process_count

    devices = process_count(config.trainer.devices)
    if devices > 1:
        from ocrexp.engine.distributed import launch
        from ocrexp.engine.status import FAILED, read_status, write_status

        try:
            return launch(devices, worker_command(run_dir, resume), config.trainer, run_dir)
        except OcrexpError as error:
            if (read_status(run_dir) or {}).get("state") != FAILED:  # a rank that was killed could not say so
                write_status(run_dir, state=FAILED, error=str(error))
            raise
    return fit(run_dir, config, resume=resume, checked=True)


def worker_command(run_dir: Path, resume: bool) -> list[str]:
    """Script and arguments of a process that trains one prepared run folder."""
    script = Path(__file__).with_name("worker.py")
    return [str(script), str(run_dir), *(["--resume"] if resume else [])]


def fit(run_dir: Path, config: DictConfig, *, resume: bool = False, checked: bool = False) -> int:
    """Train in this process, and evaluate at the end; `checked`: the configuration has been through `check`.

    Returns 0, or 128 + signal when it was interrupted and can be resumed. Raises an OcrexpError for what stops the run;
    `status.json` has its line by then.
    """
    from ocrexp.config.check import check
    from ocrexp.config.hooks import prepare_process
    from ocrexp.engine.status import FAILED, INTERRUPTED, write_status
    from ocrexp.logs import log_file, show_notices
    from ocrexp.runs.resuming import accept

    show_notices()
    prepare_process(config)
    first = os.environ.get("PADDLE_TRAINER_ID", "0") == "0"  # its own lines are the run's
    with log_file(run_dir / "train.log") if first else contextlib.nullcontext():
        try:
            if not checked:  # as the jobs of a sweep
                check(config)
            trainer = build_trainer(run_dir, config, resume=resume)
            undo = accept(run_dir) if resume and first else None
        except KeyboardInterrupt as stop:
            write_status(run_dir, state=INTERRUPTED, error=f"{stop or 'Ctrl-C'} before the training began")
            raise
        except Exception as error:
            with contextlib.suppress(OSError):  # nothing can be written: the error says so itself
                write_status(run_dir, state=FAILED, error=str(error) or type(error).__name__)
            raise
        begun = trainer.step
        try:
            result = trainer.fit()
        except OcrexpError:
            if undo is not None and trainer.step == begun:
                with contextlib.suppress(OSError):  # the folder is gone or full: the error is about that
                    undo()  # not one step could be made with what the resume has changed
            raise
        finally:
            for loader in (trainer.train_loader, trainer.evaluator.loader):
                loader.close()
    from ocrexp.engine.distributed import is_main

    if is_main():
        print(printable(f"run folder: {run_dir} (pictures and curves: {run_dir / 'plots'})"))
    return result.exit_code


def build_trainer(run_dir: Path, config: DictConfig, *, resume: bool = False) -> Trainer:
    """Put the parts together as the configuration says, on this process's device.

    With `resume` the trainer continues from the newest good set of `latest`.
    """
    from ocrexp.assemble import assemble
    from ocrexp.config.frozen import read_job
    from ocrexp.config.plain import container, label_digest, trainer_settings
    from ocrexp.data.memory import shared_memory_warning
    from ocrexp.engine import distributed
    from ocrexp.engine.checkpoint import CheckpointStore
    from ocrexp.engine.seed import seed_everything
    from ocrexp.engine.space import check_space
    from ocrexp.engine.trainer import Trainer
    from ocrexp.loggers.base import RunInfo
    from ocrexp.loggers.group import LoggerGroup

    settings = trainer_settings(config)
    distributed.set_device(settings.device)
    distributed.start_process_group(settings.dist_timeout_minutes)
    rank, world_size = distributed.rank(), distributed.world_size()
    if warning := shared_memory_warning(world_size):
        log.warning("%s", warning)
    seed_everything(config.seed)

    parts = assemble(config, rank=rank, world_size=world_size)
    source, charset, model = parts.source, parts.charset, parts.model
    train_loader = parts.train_loader
    if rank == 0:
        for line in [*source.report(), *parts.task.label_lines(parts.facts)]:
            log.warning("%s", line)
        if warning := check_space(model, settings, parts.plan, run_dir):
            log.warning("%s", warning)
    job = read_job(run_dir)
    fingerprint = source.fingerprint() | ({} if charset is None else {"charset": charset.fingerprint})
    fingerprint["labels"] = label_digest(config)
    trainer = Trainer(
        model=model,
        loss=parts.loss,
        optimizer=parts.optimizer,
        schedule=parts.schedule,
        train_loader=train_loader,
        evaluator=parts.evaluator,
        settings=settings,
        plan=parts.plan,
        seed=config.seed,
        run=RunInfo(
            name=job.name,
            run_dir=run_dir,
            config={**container(config), "fingerprint": fingerprint},
            group=job.group,
            resumed=resume,
        ),
        callbacks=parts.callbacks,
        loggers=LoggerGroup(parts.loggers),
        fingerprints=fingerprint,
        extras={} if charset is None else {"charset": charset.saved()},
        sample_name=train_loader.pipeline.describe,
        task=parts.task,
        causes=parts.zero_metric_causes,
    )
    if resume:
        found = CheckpointStore(run_dir).load_for_resume()
        trainer.restore(found)
        if rank == 0:
            log.info("resuming from step %d of %d: %s", found.step, parts.plan.total_steps, found.path("pdparams"))
    return trainer
