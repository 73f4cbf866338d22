"""Is there disk space for the checkpoints that a run will keep? Asked before the first step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import paddle

from ocrexp.engine.settings import RunPlan, TrainerSettings
from ocrexp.errors import ConfigError, printable
from ocrexp.located import option

_MEGABYTE = 1 << 20
_STATES_PER_WEIGHT = 2  # what Adam keeps; the other optimizers keep as much or less
_BYTES = 4  # checkpoints are in float32


def check_space(model: paddle.nn.Layer, settings: TrainerSettings, plan: RunPlan, run_dir: Path) -> str | None:
    """One line if the disk will probably fill, None if it will not.

    Raises ConfigError if not even the first sets of `latest` and `best_accuracy` fit. What the run folder holds
    already is taken into account.
    """
    learned = sum(value.size for value in model.parameters() if not value.stop_gradient) * _BYTES
    weights = sum(value.size for value in model.state_dict().values()) * _BYTES
    best = weights + learned * _STATES_PER_WEIGHT
    latest = best + (weights if settings.ema_decay else 0)
    kept = plan.total_epochs // settings.save_every_epochs if settings.save_every_epochs else 0
    needed = (settings.keep_sets + kept + 1) * latest + settings.keep_sets * best  # one more while it is written
    held = bytes_in(run_dir / "checkpoints")
    free = shutil.disk_usage(run_dir).free
    least = max(latest + best - held, latest)
    figures = (
        f"{printable(str(run_dir))}: {_megabytes(free)} are free, but the checkpoints of this run need up to "
        f"{_megabytes(max(needed - held, least))}"
    )
    if free < least:
        raise ConfigError(f"{figures}, the first ones {_megabytes(least)}; free some space or set run_dir")
    if free < needed - held:
        keys = option(settings, "keep_sets")
        if kept:
            keys += f", raise {option(settings, 'save_every_epochs')}"
        return f"{figures}; free some space, or lower {keys}"
    return None


def bytes_in(folder: Path) -> int:
    """Bytes of the files below a folder; several names of one file count once."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.lstat(os.path.join(root, name))  # noqa: PTH118 - os.walk's own strings
            except OSError:  # it went away meanwhile
                continue
            found[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(found.values())


def _megabytes(count: int) -> str:
    return f"{count / _MEGABYTE:.1f} MB" if count < 10 * _MEGABYTE else f"{count // _MEGABYTE} MB"
