"""The node `adapt` and `loader.batch_size=auto`: a run is fitted to its data, time and memory before it starts.

What is chosen becomes a plain value of the run's frozen configuration, so that resume, eval and export need nothing of
it. `.hydra/adapted.json` records what was chosen, for people and for a sweep that comes back to its folder.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.adapt.base import Adaptation, Device, Pace
from ocrexp.data.records import StreamedRecords
from ocrexp.engine.devices import process_count, uses_gpu
from ocrexp.engine.status import FAILED, RUNNING, write_status
from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError, OcrexpError
from ocrexp.logs import log_file, show_notices
from ocrexp.runs.batch_search import AUTO, check_auto, rate_line
from ocrexp.runs.choices import Choice, RunChoices, record

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.types import DataSource, Record

log = logging.getLogger(__name__)

_VAL_SHARE = 0.1  # of the training images
_MOST_STREAMED = 20_000  # samples of shards that are looked at


def adapt(config: DictConfig, run_dir: Path, overrides: Sequence[str]) -> None:
    """Fit a run to its data and its time, as its node `adapt` asks, or its batch to the memory, as
    `loader.batch_size=auto` asks; nothing where it asks for neither.

    The configuration has plain values afterwards. Raises OcrexpError; the run's status has its line by then.

    Args:
        config: composed and checked, with its trainer.devices settled.
        run_dir: the run folder, which exists.
        overrides: of the command line, whose keys keep their values.
    """
    searches = config.loader.batch_size == AUTO
    if config.get("adapt") is None and not searches:
        return
    show_notices()
    with log_file(run_dir / "train.log"):
        if config.get("overfit") and not searches:
            log.info("adapt: not used with overfit=true")
            return
        try:
            made = [_fit_batch(config)] if searches else _adapt(config, overrides)
        except OcrexpError as error:
            with suppress(OSError):  # nothing can be written: the error says so itself
                write_status(run_dir, state=FAILED, error=str(error))
            raise
    record(run_dir, made)
    if searches:
        write_status(run_dir, state=RUNNING, batch_size=config.loader.batch_size)


def _fit_batch(config: DictConfig) -> Choice:
    """Write the largest batch that fits the memory into the configuration."""
    from ocrexp.runs.batch_search import find_batch

    check_auto(config)
    log.info("loader.batch_size=auto: trying batches, each in a process of its own")
    found = find_batch(config)
    log.info("loader.batch_size=%d: %s", found.batch, found.reason)
    log.info("%s", rate_line(config, found.batch))
    config.loader.batch_size = found.batch
    return Choice("loader.batch_size", found.batch, found.reason, AUTO)


def fit_to_data(config: DictConfig, overrides: Sequence[str]) -> tuple[Adaptation, Sequence[Record], RunChoices]:
    """The part of the node `adapt` that looks at the data: characters, sizes, batch, rate.

    The configuration has plain values afterwards. Returns the adaptation, the training records and what was chosen.
    """
    from ocrexp.assemble.data import build_source
    from ocrexp.assemble.deployed import deployed_folder

    rules = _rules(config)
    if config.model.pretrained:
        deployed_folder(config.model.pretrained)  # one that has not been fetched is reported before anything is read
    choices = RunChoices(config, overrides, rules.keep)
    _choose_validation(config, choices)
    source: DataSource = build_source(config.dataset)
    records = source.train_records()
    rules.fit(
        _looked_at(records), len(records), Device(uses_gpu(str(config.trainer.device)), available_cores()), choices
    )
    return rules, records, choices


def _looked_at(records: Sequence[Record]) -> Sequence[Record]:
    """What the choices follow from: all records, or some of those that are streamed."""
    if not isinstance(records, StreamedRecords):
        return records
    some = records.spread(_MOST_STREAMED)
    log.info(
        "adapt: looked at %d of %d samples of the training shards; characters that only others have are not in the "
        "charset (charset=from_labels reads all labels)",
        len(some),
        len(records),
    )
    return some


def _adapt(config: DictConfig, overrides: Sequence[str]) -> list[Choice]:
    from ocrexp.runs.measure import measure

    rules, records, choices = fit_to_data(config, overrides)
    if choices.value("trainer.max_minutes") is None:
        batch = config.loader.batch_size * config.trainer.accumulate * process_count(config.trainer.devices)
        pace = Pace(0.0, 0.0, math.ceil(len(records) / batch))
    else:
        processes = process_count(config.trainer.devices)
        log.info("adapt: measuring some training steps and a part of an evaluation")
        # GPUs share nothing that slows them down.
        pace = measure(config, 1 if uses_gpu(str(config.trainer.device)) else processes, processes)
    rules.length(pace, choices)
    return choices.made


def _rules(config: DictConfig) -> Adaptation:
    """The part `adapt`. Raises ConfigError where it is for another task."""
    from ocrexp.config.build import build

    rules = build(config.adapt)
    if not isinstance(rules, Adaptation):
        raise ConfigError(f"adapt: expected an Adaptation, got {type(rules).__name__}; choose adapt=rec or adapt=det")
    if rules.task != config.task:
        raise ConfigError(
            f"adapt: {type(rules).__name__} is for task={rules.task}, but the model has task={config.task}; use "
            f"adapt={config.task} or adapt=none"
        )
    return rules


def _choose_validation(config: DictConfig, choices: RunChoices) -> None:
    """A share of the training images where there is no validation list."""
    from ocrexp.data.lists import LabelLists

    usual = LabelLists.usual_val
    if choices.value("dataset.val_labels") != usual or choices.value("dataset.val_split") is not None:
        return
    root = Path(str(config.dataset.root)).expanduser()
    if root.is_dir() and not (root / usual).exists():
        choices.choose("dataset.val_split", _VAL_SHARE, f"{root} has no {usual}")
