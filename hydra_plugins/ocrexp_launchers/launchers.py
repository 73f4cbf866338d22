"""The launchers of `launcher=joblib`, `slurm`, `slurm_local` and `ray`.

Hydra imports this file at each start, so it imports nothing heavy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from ocrexp.runs.launching.prepare import Composer


class _OwnLauncher(Launcher):
    """Composes the jobs here and has them run elsewhere."""

    def __init__(self, **options: Any) -> None:  # read from the configuration
        del options
        self._composer: Composer | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        from ocrexp.runs.launching.prepare import Composer

        self._composer = Composer(hydra_context, task_function, config)

    @abstractmethod
    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, numbered from `initial_job_idx`; returns when all have ended."""


class JobsLauncher(_OwnLauncher):
    """Jobs side by side on this machine; `conf/launcher/joblib.yaml` says what each option means."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, numbered from `initial_job_idx`; returns when all have ended."""
        from ocrexp.runs.launching.pool import run_in_pool

        assert self._composer is not None
        return run_in_pool(self._composer, job_overrides, initial_job_idx)


class SlurmLauncher(_OwnLauncher):
    """Jobs on a Slurm cluster; `conf/launcher/slurm.yaml` says what each option means."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, numbered from `initial_job_idx`; returns when all have ended."""
        from ocrexp.runs.launching.slurm import run_on_slurm

        assert self._composer is not None
        return run_on_slurm(self._composer, job_overrides, initial_job_idx)


class SlurmLocalLauncher(_OwnLauncher):
    """Jobs of a Slurm cluster on this machine; `conf/launcher/slurm_local.yaml` says what each option means."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, numbered from `initial_job_idx`; returns when all have ended."""
        from ocrexp.runs.launching.slurm_local import run_on_this_machine

        assert self._composer is not None
        return run_on_this_machine(self._composer, job_overrides, initial_job_idx)


class RayLauncher(_OwnLauncher):
    """Jobs on a Ray cluster; `conf/launcher/ray.yaml` says what each option means."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, numbered from `initial_job_idx`; returns when all have ended."""
        from ocrexp.runs.launching.ray import run_on_ray

        assert self._composer is not None
        return run_on_ray(self._composer, job_overrides, initial_job_idx)
