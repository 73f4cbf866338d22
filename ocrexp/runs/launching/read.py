"""Reads `hydra.launcher`, whatever launcher it is of."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig

from ocrexp.environment import available_cores
from ocrexp.runs.launching.ray_settings import RayLaunching
from ocrexp.runs.launching.settings import Launching, PoolLaunching, options_of
from ocrexp.runs.launching.slurm_settings import SlurmLaunching, SlurmLocalLaunching


@dataclass(frozen=True)
class ForeignLaunching:
    """A launcher of Hydra or of another package: its node is its own business."""

    width: int

    def check_job(self, trainer: DictConfig) -> None:
        """A job is a process that trains a prepared folder; nothing to check."""


def read_launching(launcher: DictConfig) -> Launching:
    """What a composed `hydra.launcher` asks for. Raises ConfigError for invalid values."""
    options, name = options_of(launcher), str(launcher.get("_target_")).rpartition(".")[2]
    if name == "JobsLauncher":
        return PoolLaunching.read(options)
    if name == "SlurmLauncher":
        return SlurmLaunching.read(options)
    if name == "SlurmLocalLauncher":
        return SlurmLocalLaunching.read(options)
    if name == "RayLauncher":
        return RayLaunching.read(options)
    jobs = options.get("n_jobs", 1)
    return ForeignLaunching(jobs if isinstance(jobs, int) and jobs > 0 else available_cores())
