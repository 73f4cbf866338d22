"""What happens around Hydra's jobs: guard the run folder, check the parts first, show the sweep at its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from ocrexp.config.check import check
from ocrexp.errors import OcrexpError


def _refuse(error: OcrexpError) -> NoReturn:
    # Hydra turns exceptions of callbacks into warnings; an exit is the one thing that it lets through.
    print(f"ocrexp: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


class RunGuard(Callback):
    """Before a single run starts: its parts fit, and its folder is new."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's signature
        job = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        try:
            prepare_process(job)
            check(job)
            folder = Path(config.hydra.run.dir)
            if folder.exists() and any(folder.iterdir()):
                if config.run_dir is not None:
                    raise _exists(folder)
                with open_dict(config):  # two runs started within one second
                    config.hydra.run.dir = str(_free_name(folder))
        except OcrexpError as error:
            _refuse(error)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's signature
        if config.run_dir is not None:
            from ocrexp.errors import ConfigError

            _refuse(ConfigError("run_dir fixes the folder of one run; a sweep's folder is fixed by sweep_dir=…"))


class SweepTable(Callback):
    """After a sweep: the table of its jobs, best first, on the screen and as `sweep.csv`."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's signature
        from ocrexp.report.sweep import finish_sweep

        finish_sweep(Path(config.hydra.sweep.dir))


def prepare_process(config: DictConfig) -> None:
    """Set what must stand before paddle is imported; safe to call twice."""
    from ocrexp.environment import prepare

    prepare(enabled=bool(config.trainer.cpu_tuning))


def _exists(folder: Path) -> OcrexpError:
    from ocrexp.errors import ConfigError

    mend = f"continue it with `python -m ocrexp resume run_dir={folder}`, or choose another run_dir"
    return ConfigError(f"the run folder {folder} exists and is not overwritten: {mend}")


def _free_name(folder: Path) -> Path:
    number = 2
    while (candidate := folder.with_name(f"{folder.name}_{number}")).exists():
        number += 1
    return candidate
