"""What happens around Hydra's jobs: guard the run folder, check the parts first, show the sweep at its end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from ocrexp.config.check import check_early, check_parts
from ocrexp.config.compose import compose
from ocrexp.config.plain import trainer_settings
from ocrexp.engine.devices import settle_devices
from ocrexp.engine.status import FINISHED, RUNNING
from ocrexp.errors import ConfigError, OcrexpError, explain_import_error, printable, report_error
from ocrexp.runs import live
from ocrexp.runs.batch_search import check_auto
from ocrexp.runs.folder import claim_run, claim_sweep, machines
from ocrexp.runs.grid import check_grid, first_open
from ocrexp.runs.launching.read import read_launching
from ocrexp.runs.plan import SPENT, SweepPlan, SweepSettings
from ocrexp.runs.search.options import is_search
from ocrexp.runs.search.request import read_search
from ocrexp.runs.state import NOT_RUN

# What a run cannot be without; loggers, callbacks and augmentation may be taken away.
NEEDED = (
    "trainer", "loader", "optim", "dataset", "targets", "model", "loss", "postprocess", "metric", "seed", "run_dir",
)  # fmt: skip


@contextmanager
def _ends_the_program() -> Iterator[None]:
    """Hydra turns exceptions of callbacks into warnings; an exit is the one thing that it lets through."""
    try:
        yield
    except OcrexpError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except Exception as error:
        line = explain_import_error(error) if isinstance(error, ImportError) else None
        if line is None:
            traceback.print_exc()
        else:
            print(f"ocrexp: {printable(line)}", file=sys.stderr)
        sys.exit(1)


class RunGuard(Callback):
    """Before a single run starts: its parts fit, and its folder is new."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's signature
        job = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        with _ends_the_program():
            if chosen := config.hydra.runtime.choices.get("sweep"):
                raise ConfigError(f"sweep={chosen}: has several values; add -m to run a sweep with one job per value")
            if taken := [node for node in NEEDED if node not in job]:
                raise ConfigError(f"~{taken[0]}: a run needs this node; choose another option, or set single keys")
            check_early(job)
            prepare_process(job)
            check_parts(job)
            trainer_settings(job)
            settle_devices(job)  # what is wrong with it is reported before the folder is made
            check_auto(job)
            folder = Path(config.hydra.run.dir).expanduser()
            given = config.run_dir is not None or _given(config, "hydra.run.dir")
            claimed_folder = claim_run(folder, given=given, shared=machines(job))
            if str(claimed_folder) != config.hydra.run.dir:
                with open_dict(config):
                    config.hydra.run.dir = str(claimed_folder)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's signature
        with _ends_the_program():
            if config.run_dir is not None:
                raise ConfigError("run_dir: sets the folder of a single run; for a sweep, use sweep_dir=…")
            settings = SweepSettings.read(config)
            sweeper = config.hydra.sweeper
            grid = "BasicSweeper" in str(sweeper._target_)
            overrides = [str(item) for item in config.hydra.overrides.task]
            params = {} if sweeper is None else sweeper.get("params") or {}
            asked = [*(f"{key}={value}" for key, value in params.items()), *overrides]
            search = read_search(config, overrides) if is_search(sweeper) else None
            jobs = every_job(asked) if grid else []
            if not grid and search is None and settings.jobs is not None:
                raise ConfigError(
                    "sweep.stop_when.jobs: only the grid and hydra/sweeper=ocrexp_optuna count jobs; set it to null"
                )
            launching = read_launching(config.hydra.launcher)
            for job in search.examples() if search else each_value_once(asked, grid):
                composed = compose("train", job)
                check_early(composed)
                check_auto(composed, str(config.hydra.launcher._target_))
                launching.check_job(composed.trainer)
            folder = Path(config.hydra.sweep.dir).expanduser()
            given = config.sweep_dir is not None or _given(config, "hydra.sweep.dir")
            claimed_folder = claim_sweep(folder, given=given, shared="search" if search else None)
            if str(claimed_folder) != config.hydra.sweep.dir:
                with open_dict(config):
                    config.hydra.sweep.dir = str(claimed_folder)
                    # Hydra composes each job again, from these.
                    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={_quoted(str(claimed_folder))}")
            if search is not None:
                search.check_folder(claimed_folder)
            check_grid(claimed_folder, jobs, lambda job: compose("train", job))
            objectives = search.options.objectives if search else ["metric"]
            allowed = first_open(claimed_folder, len(jobs), settings.jobs) if grid and settings.jobs else None
            SweepPlan(settings.until if not search else None, allowed, objectives).write(claimed_folder)
            if "BasicLauncher" not in str(config.hydra.launcher._target_):
                live.start(claimed_folder, search.target() if search else len(jobs) or None)


class SweepTable(Callback):
    """After a sweep: the table of its jobs, best first, on the screen and as `sweep.csv`, and their plot."""

    all_done = True  # of the sweep that this process ran last; the jobs themselves may run in other processes

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's signature
        from ocrexp.runs.sweep_table import finish_sweep

        live.stop()
        folder = Path(config.hydra.sweep.dir)
        rows = finish_sweep(folder)
        accepted = list(FINISHED)
        if SweepPlan.read(folder).limited:
            accepted.append(NOT_RUN)
            if any(row["state"] == NOT_RUN for row in rows):
                print(f"ocrexp: {SPENT}")
        if is_search(config.hydra.sweeper):
            accepted.append(RUNNING)  # jobs of other processes that work on the study
        SweepTable.all_done = bool(rows) and all(row["state"] in accepted for row in rows)
        if not rows:
            shown = printable(str(folder))
            print(f"ocrexp: sweep {shown}: no job folder found; check hydra.sweep.subdir", file=sys.stderr)


def end_live_table() -> None:
    """Remove the live table from the screen; Hydra does not call its callbacks if a sweep ends with an error."""
    live.stop()


def each_value_once(overrides: list[str], grid: bool) -> list[list[str]]:
    """Jobs that between them hold every value of a grid at least once: enough to see that all of it composes.

    Raises ConfigError for an interval that a grid cannot take; another sweeper's intervals are left to it.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    running = GlobalHydra.instance().hydra
    parser = OverridesParser.create(config_loader=running.config_loader if running else None)  # it lists glob(*)
    columns: list[list[str]] = []
    for override in parser.parse_overrides(overrides):
        if override.is_interval_sweep():
            if grid:
                raise ConfigError(
                    f"{override.input_line}: the grid sweeper needs lists, not intervals; write key=1e-4,5e-4,1e-3, or"
                    " choose the sweeper that draws from intervals (hydra/sweeper=ocrexp_optuna)"
                )
        elif override.is_sweep_override():
            key = override.get_key_element()
            columns.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            columns.append([str(override.input_line)])
    longest = max((len(column) for column in columns), default=1)
    return [[column[min(row, len(column) - 1)] for column in columns] for row in range(longest)]


def every_job(overrides: list[str]) -> list[list[str]]:
    """The overrides of each job of a grid, numbered as the grid sweeper numbers them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    running = GlobalHydra.instance().hydra
    parser = OverridesParser.create(config_loader=running.config_loader if running else None)
    parsed = parser.parse_overrides(overrides)
    if any(override.is_interval_sweep() for override in parsed):
        return []  # refused by `each_value_once`, with advice
    return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def _quoted(text: str) -> str:
    """A value that Hydra takes as it is."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def prepare_process(config: DictConfig) -> None:
    """Set what must stand before paddle is imported, and import it; safe to call twice."""
    from ocrexp.engine.devices import process_count
    from ocrexp.environment import available_cores, prepare
    from ocrexp.logs import import_paddle

    threads = max(1, available_cores() // process_count(config.trainer.devices))
    prepare(enabled=bool(config.trainer.cpu_tuning), threads=threads)
    import_paddle()


def _given(config: DictConfig, key: str) -> bool:
    """Whether the user has set one of Hydra's own keys."""
    return any(str(item).partition("=")[0].lstrip("+") == key for item in config.hydra.overrides.hydra)
