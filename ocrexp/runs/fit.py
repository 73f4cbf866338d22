"""The recipe of a run: put the parts together, train, evaluate at the end."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.errors import ConfigError, OcrexpError, nothing_done, printable
from ocrexp.located import located, option

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.engine.trainer import Trainer

log = logging.getLogger(__name__)


def train_in(run_dir: Path, config: DictConfig, *, resume: bool = False) -> int:
    """Train a prepared run folder on the devices that its checked config asks for; returns the exit code."""
    from ocrexp.engine.devices import process_count

    devices = process_count(config.trainer.devices)
    if devices > 1:
        from ocrexp.engine.distributed import launch
        from ocrexp.engine.status import FAILED, FINISHED, read_status, write_status

        try:
            code = launch(devices, worker_command(run_dir, resume), config.trainer, run_dir)
            ended = (read_status(run_dir) or {}).get("state")
            return 0 if code > 128 and ended in FINISHED else code  # an agent of W&B has stopped it
        except OcrexpError as error:
            known = read_status(run_dir) or {}
            # A rank that was killed could not report it, and another one only knows that its connection is gone.
            if known.get("state") != FAILED or str(known.get("error")) not in str(error):
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
    from ocrexp.engine.status import FAILED, INTERRUPTED, write_status
    from ocrexp.logs import log_file, show_notices
    from ocrexp.runs.hooks import prepare_process
    from ocrexp.runs.resuming import accept

    show_notices()
    prepare_process(config)
    first = os.environ.get("PADDLE_TRAINER_ID", "0") == "0"  # its own lines are the run's
    with log_file(run_dir / "train.log") if first else contextlib.nullcontext():
        try:
            with nothing_done():
                if not checked:  # as the jobs of a sweep
                    check(config)
                trainer = build_trainer(run_dir, config, resume=resume)
            undo = accept(run_dir) if resume and first else None
        except KeyboardInterrupt as stop:
            write_status(run_dir, state=INTERRUPTED, error=f"{stop or 'Ctrl-C'} before the training began")
            raise
        except Exception as error:
            with contextlib.suppress(OSError):  # nothing can be written: the error itself is reported
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
            trainer.train_loader.close()
            trainer.validation.close()
    from ocrexp.engine.distributed import is_main

    if is_main():
        print(printable(f"run folder: {run_dir} (pictures and curves: {run_dir / 'plots'})"))
    return result.exit_code


def build_trainer(run_dir: Path, config: DictConfig, *, resume: bool = False) -> Trainer:
    """Assemble the parts of the configuration, on this process's device.

    With `resume` the trainer continues from the newest good set of `latest`.
    """
    import paddle

    from ocrexp.assemble import assemble
    from ocrexp.config.frozen import read_job
    from ocrexp.config.plain import container, label_digest, trainer_settings
    from ocrexp.data.memory import shared_memory_warning
    from ocrexp.engine import distributed
    from ocrexp.engine.checkpoint import CheckpointStore
    from ocrexp.engine.seed import seed_everything
    from ocrexp.engine.space import check_space
    from ocrexp.engine.start_from import start_from
    from ocrexp.engine.trainer import Trainer
    from ocrexp.loggers.base import RunInfo
    from ocrexp.loggers.group import LoggerGroup
    from ocrexp.loggers.wandb_ids import of_agent
    from ocrexp.runs.catalog import typed_overrides
    from ocrexp.runs.data_check import log_data_check
    from ocrexp.runs.provenance import read_provenance, write_provenance
    from ocrexp.runs.search.trial import trial_callbacks

    settings = trainer_settings(config)
    with located("trainer", config.trainer, ConfigError):
        distributed.set_device(settings.device)
    timed = distributed.start_process_group(settings.dist_timeout_minutes)
    rank, world_size = distributed.rank(), distributed.world_size()
    if not timed and rank == 0:
        key = option(settings, "dist_timeout_minutes")
        log.warning(
            "%s: has no effect with paddle %s on a CPU; a process that is 30 seconds later than the others ends the "
            "run",
            key,
            paddle.__version__,
        )
    if warning := shared_memory_warning(world_size):
        log.warning("%s", warning)
    seed_everything(config.seed)

    parts = assemble(config, rank=rank, world_size=world_size)
    source, charset, model = parts.source, parts.charset, parts.model
    train_loader = parts.train_loader
    sizes: dict[str, float] = {}
    if rank == 0:
        for lines in (source.report, lambda: parts.task.label_lines(parts.facts)):  # the second one may raise
            for line in lines():
                log.warning("%s", line)
        if warning := check_space(parts.learns, settings, parts.plan, run_dir):
            log.warning("%s", warning)
        log.info("%s", parts.describe())
        sizes = {"parameters": parts.summary.parameters, "gmacs": round(parts.summary.macs / 1e9, 6)}
        if rates := parts.rates.describe(parts.lr):
            log.info("%s", rates)
        if not resume:
            log_data_check(config, source)
            with contextlib.suppress(OSError):  # a full disk is reported by what matters more
                write_provenance(run_dir, paddle.device.get_device(), source.fingerprint())
    begun = None
    if settings.start_from and not resume:  # before the trainer, which begins an average of the weights with them
        if config.model.pretrained and rank == 0:
            log.warning(
                "model.pretrained=%s: has no effect; trainer.start_from gives all weights that learn",
                config.model.pretrained,
            )
        begun = start_from(parts.learns, parts.optimizer, Path(settings.start_from).expanduser(), parts.plan)
    job = read_job(run_dir)
    fingerprint = source.fingerprint() | ({} if charset is None else {"charset": charset.fingerprint})
    fingerprint["labels"] = label_digest(config)
    trainer = Trainer(
        model=model,
        trainable=parts.learns,
        loss=parts.loss,
        optimizer=parts.optimizer,
        schedule=parts.schedule,
        train_loader=train_loader,
        validation=parts.validation,
        settings=settings,
        plan=parts.plan,
        seed=config.seed,
        run=RunInfo(
            name=job.name,
            run_dir=run_dir,
            config={**container(config), "fingerprint": fingerprint},
            group=job.group,
            resumed=resume,
            sizes=sizes,
            overrides=tuple(typed_overrides(run_dir)),
            environment=read_provenance(run_dir) or {},
        ),
        callbacks={**parts.callbacks, **trial_callbacks()},
        loggers=LoggerGroup(parts.loggers),
        fingerprints=fingerprint,
        extras={} if charset is None else {"charset": charset.saved()},
        sample_name=train_loader.pipeline.describe,
        thaw=parts.thaw,
        rates=parts.rates.groups,
        pretrained=bool(config.model.pretrained),
        task=parts.task,
        causes=parts.zero_metric_causes,
        stopped_by="the agent of a W&B sweep" if of_agent() and not resume else None,
    )
    if begun is not None:
        trainer.state = begun
    if resume:
        found = CheckpointStore(run_dir).load_for_resume()
        trainer.restore(found)
        if rank == 0:
            log.info("resuming from step %d of %d: %s", found.step, parts.plan.total_steps, found.path("pdparams"))
    return trainer
