"""The sweeper `hydra/sweeper=ocrexp_optuna`. Hydra imports this file at each start, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """A search with Optuna; `conf/hydra/sweeper/ocrexp_optuna.yaml` says what each option means."""

    def __init__(self, **options: Any) -> None:  # read from the configuration by `run_search`
        del options
        self._launcher: Launcher | None = None
        self._config: DictConfig | None = None
        self._launched = 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        from hydra.core.plugins import Plugins

        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the search; its results are in the study and in the jobs' folders."""
        from omegaconf import OmegaConf

        from ocrexp.files import write_text
        from ocrexp.runs.search.sweeper import run_search

        assert self._config is not None
        folder = Path(self._config.hydra.sweep.dir)
        write_text(folder / "multirun.yaml", OmegaConf.to_yaml(self._config))
        run_search(self._config, arguments, self._launch)

    def _launch(self, jobs: Sequence[Sequence[str]]) -> None:
        """Run jobs; raises what is wrong with their configurations in one line."""
        from ocrexp.config.explain import as_config_error

        assert self._launcher is not None
        try:
            results = self._launcher.launch(jobs, initial_job_idx=self._launched)
            self._launched += len(jobs)
            for result in results:
                _ = result.return_value  # raises what the job has raised
        except Exception as error:
            explained = as_config_error(error, "train", [item for item in jobs[0] if "=" in item])
            if explained is None:
                raise
            raise explained from error
