"""`ocrexp train`: compose, check, train, evaluate at the end. With -m: a sweep of such runs.

Hydra composes and names the folders. A single run on one device trains in this process; the jobs of a sweep, and runs
on several devices, train in processes of their own from the folder's `config_resolved.yaml`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.config.compose import setup_hydra
from ocrexp.config.explain import as_config_error
from ocrexp.config.paths import shadowed, shipped_conf

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(arguments: Sequence[str]) -> int:
    """Hand the arguments to Hydra, job by job; returns the exit code."""
    from hydra import main as hydra_main

    setup_hydra()
    if names := shadowed():
        print(f"ocrexp: your ./conf stands in for the shipped {', '.join(names)}", file=sys.stderr)
    outcome = _Outcome()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us as they are, not as Hydra's printed summary
    sys.argv = ["ocrexp", *arguments]
    try:
        hydra_main(config_path=str(shipped_conf()), config_name="train", version_base="1.3")(outcome.job)()
    except Exception as error:
        explained = as_config_error(error, "train", [item for item in arguments if "=" in item])
        if explained is None:
            raise
        raise explained from error
    finally:
        os.environ.pop("HYDRA_FULL_ERROR", None)
    return outcome.exit_code


class _Outcome:
    """Collects the exit codes of Hydra's jobs, which Hydra itself drops."""

    def __init__(self) -> None:
        self.exit_code = 0

    def job(self, config: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from ocrexp.config.frozen import JobInfo, write_job

        hydra = HydraConfig.get()
        run_dir = Path(hydra.runtime.output_dir)
        if hydra.mode == RunMode.MULTIRUN:
            from ocrexp.commands.sweep import run_sweep_job

            return run_sweep_job(config, run_dir, hydra)
        write_job(run_dir, config, JobInfo(name=str(config.name)))
        self.exit_code = train_in(run_dir, config)
        return None


def train_in(run_dir: Path, config: DictConfig, *, resume: bool = False) -> int:
    """Train a prepared run folder on the devices that its config asks for; returns the exit code."""
    if int(config.trainer.devices) > 1:
        from ocrexp.engine.distributed import launch

        return launch(int(config.trainer.devices), worker_command(run_dir, resume), config.trainer, run_dir)
    from ocrexp.commands.fit import fit

    return fit(run_dir, config, resume=resume)


def worker_command(run_dir: Path, resume: bool) -> list[str]:
    """Script and arguments of a process that trains one prepared run folder."""
    script = Path(__file__).with_name("worker.py")
    return [str(script), str(run_dir), *(["--resume"] if resume else [])]
