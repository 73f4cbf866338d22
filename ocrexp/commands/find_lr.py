"""`ocrexp find-lr`: a learning rate for a configuration, by a range test or by short trainings at given rates."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from ocrexp.command_line import key_of
from ocrexp.config.places import folder_to_write, refused
from ocrexp.engine.devices import process_count
from ocrexp.errors import ConfigError, TrainingError, printable
from ocrexp.files import exists, write_json
from ocrexp.folders import claim_folder
from ocrexp.logs import log_file, show_notices
from ocrexp.optim.range_test import Ramp, Smoothed, Suggestions, suggest, unusable
from ocrexp.report.lr_range import plot_range, plot_trainings, write_points, write_table
from ocrexp.report.title import data_name
from ocrexp.runs.adapt import fit_to_data
from ocrexp.runs.batch_search import AUTO, check_auto, find_batch
from ocrexp.runs.composed import compose_training, verb_and_training
from ocrexp.runs.rate_trainings import RateTraining, RateTrainings, range_test, short_trainings

SUMMARY = "Find a learning rate: range test, or short trainings at given rates"
USAGE = """
Usage
  python -m ocrexp find-lr model=db_mbv3 dataset=det_list dataset.root=DATA
  python -m ocrexp find-lr model=crnn_mbv3 dataset=rec_list dataset.root=DATA start=1e-6 end=1 steps=200
  python -m ocrexp find-lr model=crnn_mbv3 rates=[1e-4,3e-4,1e-3] steps=50

Trains the given configuration in memory while the learning rate rises, until the loss diverges (Smith 2017), and prints
an override for each suggestion: steepest fall, minimum / 10, valley, and between these two. With rates=[...] it trains
from the same start at each rate, with the schedule of the run in that many steps, and compares the validation loss.
Model, data, optimizer, precision, pretrained weights and optim.lr_scale are those of training; no run folder is
touched. The points and a picture are in the folder that it prints. The exit code is 1 if the curve suggests nothing."""

_RAMP_STEPS, _TRAINING_STEPS = 100, 50
_OF_RAMP = ("start", "end", "mode", "smoothing", "diverge")
_CLOSE = 0.01  # of the validation loss: two rates are as good


@dataclass(frozen=True)
class FindSettings:
    """The keys of conf/find-lr.yaml, checked: either `ramp` with its smoothing and divergence, or `rates`."""

    ramp: Ramp | None
    smoothing: float
    diverge: float
    rates: list[float]
    steps: int
    output: Path | None


def run(arguments: Sequence[str]) -> int:
    """Test, print the overrides; returns 0. Raises TrainingError (exit code 1) where nothing can be suggested."""
    verb, own, overrides = verb_and_training("find-lr", arguments)
    settings = _settings(verb, [key_of(item) for item in own])
    config = compose_training("find-lr", overrides)
    check_auto(config)
    show_notices()
    folder = _folder(settings.output, str(config.name))
    with log_file(folder / "find_lr.log"):
        _settle(config, overrides)
        print(f"ocrexp: {_about(config)}")
        try:
            if settings.ramp is None:
                _compare(config, settings, folder)
            else:
                _test(config, settings, settings.ramp, folder)
        finally:
            print(printable(f"folder: {folder}"))
    return 0


def _test(config: DictConfig, settings: FindSettings, ramp: Ramp, folder: Path) -> None:
    """The range test, its files and its lines."""
    curve = range_test(config, ramp, settings.smoothing, settings.diverge)
    write_points(folder / "lr_range.csv", curve)
    why = unusable(curve)
    found = None if why else suggest(curve)
    if len(curve.rates):
        plot_range(folder / "lr_range.png", curve, found, ramp.mode, _title(config, "learning rate range test"))
    if found is None:
        raise TrainingError(f"find-lr: {why}")
    write_json(folder / "lr_range.json", _as_json(found) | {"ended": curve.ended})
    for one in found.all:
        mark = "  <- recommended" if one == found.recommended else ""
        print(f"{override(one.rate):24} {one.name}: {one.why}{mark}")
    print(f"Use {override(found.recommended.rate)} ({found.recommended.name}): {found.reason}.")


def _as_json(found: Suggestions) -> dict[str, Any]:
    overrides = {one.name: {**asdict(one), "override": override(one.rate)} for one in found.all}
    return {"recommended": found.recommended.name, "reason": found.reason, "suggestions": overrides}


def _compare(config: DictConfig, settings: FindSettings, folder: Path) -> None:
    """Short trainings at the given rates, their files and their lines."""
    found = short_trainings(config, settings.rates, settings.steps)
    write_table(folder / "lr_trainings.csv", [_row(one, found.metric) for one in found.trainings])
    finished = [one for one in found.trainings if one.result is not None]
    _print(found)
    if not finished:
        raise TrainingError("find-lr: the training diverged at every rate; try lower rates")
    by_loss = all(one.result is not None and one.result.val_loss is not None for one in finished)
    best = min(finished, key=_loss) if by_loss else max(finished, key=_metric)
    values: dict[str, Sequence[float]] = {"validation loss": [_loss(one) for one in finished]} if by_loss else {}
    values[found.metric] = [_metric(one) for one in finished]
    title = _title(config, f"{settings.steps} steps at each learning rate")
    plot_trainings(folder / "lr_trainings.png", [one.rate for one in finished], values, title)
    result = {"recommended": best.rate, "override": override(best.rate), "by": "val_loss" if by_loss else found.metric}
    rows = [asdict(one) for one in found.trainings]
    write_json(folder / "lr_trainings.json", {**result, "start": asdict(found.start), "trainings": rows})
    measure = "the lowest validation loss" if by_loss else f"the highest {found.metric}"
    print(f"Use {override(best.rate)}: it has {measure} after {settings.steps} steps.")
    for line in _remarks(found, finished, best, by_loss):
        print(line)


def _remarks(found: RateTrainings, finished: list[RateTraining], best: RateTraining, by_loss: bool) -> list[str]:
    """What a reader of the result must know."""
    lines, rates = [], sorted(one.rate for one in found.trainings)
    if by_loss:
        limit = _loss(best) * (1 + _CLOSE)
        if close := [f"{one.rate:.2g}" for one in finished if one is not best and _loss(one) <= limit]:
            lines.append(f"{', '.join(close)} is within {_CLOSE:.0%} of its validation loss.")
        if found.start.val_loss is not None and _loss(best) >= found.start.val_loss:
            lines.append(
                f"No rate has lowered the validation loss of the start ({found.start.val_loss:.4g}); raise steps, or "
                "try lower rates."
            )
    elif _metric(best) <= found.start.metric:
        lines.append(f"No rate has raised {found.metric} of the start ({found.start.metric:.4f}); raise steps.")
    if len(rates) > 1 and best.rate in (rates[0], rates[-1]):
        side = "lowest" if best.rate == rates[0] else "highest"
        lines.append(f"It is the {side} of the given rates; a {side.removesuffix('est')}er one may be better.")
    return lines


def _print(found: RateTrainings) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("optim.lr", "training loss", "validation loss", found.metric, "seconds", "state"):
        table.add_column(name, justify="left" if name == "state" else "right")
    start = found.start
    table.add_row("start", "–", _shown(start.val_loss), f"{start.metric:.4f}", "–", "before training")
    for one in found.trainings:
        loss, metric = (None, None) if one.result is None else (one.result.val_loss, one.result.metric)
        shown = "–" if metric is None else f"{metric:.4f}"
        table.add_row(f"{one.rate:.2g}", _shown(one.train_loss), _shown(loss), shown, f"{one.seconds:.1f}", one.ended)
    Console().print(table)


def _row(one: RateTraining, metric: str) -> dict[str, object]:
    result = one.result
    return {
        "lr": f"{one.rate:.6g}",
        "steps": one.steps,
        "train_loss": one.train_loss,
        "val_loss": None if result is None else result.val_loss,
        metric: None if result is None else result.metric,
        "seconds": round(one.seconds, 2),
        "state": one.ended,
    }


def _loss(one: RateTraining) -> float:
    value = None if one.result is None else one.result.val_loss
    return math.inf if value is None else value


def _metric(one: RateTraining) -> float:
    return -math.inf if one.result is None else one.result.metric


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def override(rate: float) -> str:
    """The override that sets a rate, of two digits."""
    return f"optim.lr={rate:.2g}"


def _settings(verb: DictConfig, given: Sequence[str]) -> FindSettings:
    """The verb's keys. Raises ConfigError for invalid values, and for keys of the ramp beside rates."""
    values: dict[str, Any] = dict(OmegaConf.to_container(verb, resolve=True))  # type: ignore[arg-type]
    steps, rates = values["steps"], values["rates"]
    for name in ("start", "end", "smoothing", "diverge"):
        if isinstance(values[name], bool) or not isinstance(values[name], int | float):
            raise ConfigError(f"{name}: expected a number, got {values[name]!r}")
    if steps is not None and (type(steps) is not int or steps < 1):
        raise ConfigError(f"steps: expected a whole number, 1 or more, or null, got {steps!r}")
    if not values["diverge"] > 1:
        raise ConfigError(f"diverge: expected a number above 1, got {values['diverge']:g}")
    if rates is not None:
        rates = rates if isinstance(rates, list) else [rates]
        if beside := next((name for name in _OF_RAMP if name in given), None):
            raise ConfigError(f"{beside}: belongs to the ramp, which rates=[...] replaces; remove one of the two")
        if not rates or not all(_is_rate(rate) for rate in rates) or len(set(rates)) < len(rates):
            raise ConfigError(f"rates: expected different numbers above 0, such as [1e-4,3e-4,1e-3], got {rates!r}")
    try:
        ramp = None
        if rates is None:
            ramp = Ramp(float(values["start"]), float(values["end"]), steps or _RAMP_STEPS, str(values["mode"]))
        Smoothed(values["smoothing"])
    except ValueError as error:
        raise ConfigError(str(error)) from None
    output = None if values["output"] is None else Path(str(values["output"]))
    listed = [float(rate) for rate in rates or []]
    return FindSettings(ramp, values["smoothing"], values["diverge"], listed, steps or _TRAINING_STEPS, output)


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _folder(output: Path | None, name: str) -> Path:
    """A new folder for the results; a given one must be new or empty."""
    if output is None:
        with refused(Path("outputs"), "output"):
            return claim_folder(Path("outputs", "find-lr", name, time.strftime("%Y-%m-%d_%H-%M-%S")))
    if exists(output) and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"output={printable(str(output))}: exists and is not overwritten; choose another folder")
    return folder_to_write(output, "output")


def _settle(config: DictConfig, overrides: Sequence[str]) -> None:
    """Write into the configuration what training would choose for it, in one process with the images of all."""
    if config.loader.batch_size == AUTO:
        config.loader.batch_size = find_batch(config).batch
    elif config.get("adapt") is not None and not config.get("overfit"):
        fit_to_data(config, overrides)
    processes = process_count(config.trainer.devices)
    if processes > 1:
        with open_dict(config):
            config.trainer.accumulate *= processes
            config.trainer.devices = 1
        print(
            f"ocrexp: trains in one process; trainer.accumulate={config.trainer.accumulate} makes the images of a step "
            f"those of {processes} processes"
        )


def _about(config: DictConfig) -> str:
    """What the rates are for."""
    images = config.loader.batch_size * config.trainer.accumulate
    line = f"learning rates of {config.optim.optimizer._target_.rpartition('.')[2]} for {images} images per step"
    if config.optim.scale_lr:
        line += ", as values of optim.lr before optim.scale_lr"
    if config.optim.lr_scale or config.optim.layer_decay is not None:
        line += "; optim.lr_scale and optim.layer_decay multiply them for their parts"
    if config.model.get("unfreeze_after_steps") is not None:
        line += "; the parts of model.freeze stay frozen in a range test"
    return line


def _title(config: DictConfig, what: str) -> str:
    dataset: Any = OmegaConf.to_container(config.dataset, resolve=True)
    return f"{config.model.name} on {data_name(dataset)}: {what}"
