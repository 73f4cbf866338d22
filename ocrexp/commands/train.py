"""`ocrexp train`: compose, check, train, evaluate at the end. With -m: a sweep of such runs.

Hydra composes the configuration and names the folders. A single run on one device trains in this process. The jobs of a
sweep, and runs on several devices, train in processes of their own from the folder's `config_resolved.yaml`; see
`ocrexp.runs.fit`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.config.chdir import anchor
from ocrexp.config.compose import setup_hydra
from ocrexp.config.explain import as_config_error
from ocrexp.config.inherit import with_model_of_run, with_teacher_of_run
from ocrexp.config.paths import shadowed, shipped_conf
from ocrexp.config.task import with_callbacks, with_default_model
from ocrexp.errors import OcrexpError, nothing_done, printable
from ocrexp.lock import release_all

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.runs.launching.prepare import Prepared

SUMMARY = "Compose, check, train and evaluate a model; the default"
USAGE = """
Usage
  python -m ocrexp [VERB] [key=value ...]            without a verb: train
  python -m ocrexp model=db_mbv3 optim.lr=1e-4       train one model
  python -m ocrexp -m optim.lr=1e-4,5e-4,1e-3        a sweep: one job per value
  python -m ocrexp -m sweep=optuna_lr                a search with Optuna
  python -m ocrexp resume run_dir=outputs/...        continue a run where it stopped
  python -m ocrexp eval run_dir=outputs/...          evaluate a run

Verbs (each has its own --help)
{verbs}

Choose a part (group=option)
{groups}

Set a value (key=value); the most used keys
  name=NAME run_dir=DIR seed=0        the run folder, and the random numbers
  dataset.root=DIR                    folder of the images and label lists
  dataset.train_labels=train_list.txt dataset.val_labels=val_list.txt
  model.pretrained=FILE.pdparams      weights of PaddleOCR or of ocrexp
  model.freeze=[backbone]             parts that do not learn
  optim.lr=1e-3 optim.weight_decay=0 optim.clip_norm=null
  loader.batch_size=8 loader.num_workers=auto
  trainer.max_epochs=10 trainer.device=auto trainer.devices=1 trainer.precision=fp32
  trainer.eval_every_epochs=1 trainer.limit_train_batches=null

Look before you run
  python -m ocrexp list model         the options of a group, each with one line
  --cfg job [--resolve] [-p optim]    the composed configuration, or a part of it
  --info defaults-tree                where each part comes from
  -sc install=bash                    shell completion of the `ocrexp` command: eval "$(ocrexp -sc install=bash)"

Your own ./conf adds to the shipped groups and wins over them. Read docs/configuration.md for the rest."""


def run(arguments: Sequence[str]) -> int:
    """Hand the arguments to Hydra, which calls `job` for each run; returns the exit code."""
    from hydra import main as hydra_main

    setup_hydra()
    from ocrexp.runs.hooks import SweepTable, end_live_table
    from ocrexp.runs.warm import end_warm

    if names := shadowed():
        print(f"ocrexp: your ./conf replaces the shipped {printable(', '.join(names))}", file=sys.stderr)
    outcome = _JobResult()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra passes exceptions on instead of printing a summary
    inherited = with_model_of_run(with_teacher_of_run(arguments))
    overrides = with_default_model(inherited)
    if len(overrides) > len(inherited):
        taken = next(item for item in overrides if item not in inherited)
        print(
            f"ocrexp: {printable(taken)} is selected, because it is the default model for the task of this data set",
            file=sys.stderr,
        )
    overrides = with_callbacks(overrides)
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
        end_live_table()
        end_warm()
        release_all()  # the folder of the run or of the sweep, which Hydra's callbacks have locked
    if outcome.error is not None:
        raise outcome.error
    return outcome.exit_code or int(not SweepTable.all_done)


class _JobResult:
    """Collects the exit code of Hydra's job, which Hydra drops, and its error, to which Hydra adds lines."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.error: OcrexpError | None = None

    def job(self, config: DictConfig) -> float | Prepared | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode
        from omegaconf import open_dict, read_write

        from ocrexp.config.frozen import JobInfo, write_job
        from ocrexp.engine.devices import settle_devices
        from ocrexp.runs.adapt import adapt
        from ocrexp.runs.fit import train_in
        from ocrexp.runs.plan import SweepSettings

        hydra = HydraConfig.get()
        run_dir = Path(hydra.runtime.output_dir)
        if hydra.job.chdir:
            start = Path(hydra.runtime.cwd)
            anchor(config, start)
            hydra = hydra.copy()
            with read_write(hydra):
                hydra.sweep.dir = str(start / hydra.sweep.dir)
        settings = SweepSettings.read(config)
        with open_dict(config):
            for node in ("sweep", "launcher"):
                config.pop(node, None)  # of the sweep as a whole, no part of a run
        if hydra.mode == RunMode.MULTIRUN:
            from ocrexp.runs.job import SweepJob, run_sweep_job
            from ocrexp.runs.launching.prepare import hand_over, is_ours

            if is_ours(hydra):
                return hand_over(SweepJob.of(config, run_dir, hydra, settings.retries))
            settle_devices(config)
            return run_sweep_job(config, run_dir, hydra, settings.retries)
        try:
            settle_devices(config)
            with nothing_done():
                adapt(config, run_dir, hydra.overrides.task)
            write_job(run_dir, config, JobInfo(name=f"{config.name} {run_dir.name}"))
            self.exit_code = train_in(run_dir, config)
        except OcrexpError as error:
            self.error = error
        return None
