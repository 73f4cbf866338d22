"""The configuration of a training, for verbs that try it out before it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ocrexp.command_line import key_of
from ocrexp.config.changes import split_overrides
from ocrexp.config.check import check_early, check_parts
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.inherit import with_model_of_run, with_teacher_of_run
from ocrexp.config.plain import trainer_settings
from ocrexp.config.task import with_default_model
from ocrexp.engine.devices import settle_devices
from ocrexp.errors import ConfigError, printable
from ocrexp.runs.hooks import prepare_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

_FOLDERS = ("run_dir", "sweep_dir")  # of a training


def verb_and_training(verb: str, arguments: Sequence[str]) -> tuple[DictConfig, list[str], list[str]]:
    """The verb's own configuration, and the overrides of it and of the training, whose keys share the command line.

    Raises ConfigError for a key of the verb that does not compose, and for the folder of a training.
    """
    setup_hydra()
    own, others = split_overrides([str(key) for key in compose(verb, [])], arguments)
    if given := next((item for item in others if key_of(item) in _FOLDERS), None):
        raise ConfigError(f"{given}: {verb} trains in no run folder; remove it")
    return compose(verb, own), own, others


def compose_training(verb: str, overrides: Sequence[str]) -> DictConfig:
    """The checked configuration that `python -m ocrexp` with these overrides would train; paddle is imported.

    Raises ConfigError as training does, and for a sweep.
    """
    if chosen := next((item for item in overrides if key_of(item) == "sweep"), None):
        raise ConfigError(f"{chosen}: {verb} tries one configuration; remove it")
    inherited = with_model_of_run(with_teacher_of_run(overrides))
    complete = with_default_model(inherited)
    for item in complete:
        if item not in inherited:
            print(
                f"ocrexp: {printable(item)} is selected, because it is the default model for the task of this data set",
                file=sys.stderr,
            )
    config = compose("train", complete)
    from omegaconf import open_dict

    with open_dict(config):
        config.pop("sweep", None)  # of a sweep as a whole, not of a run
    check_early(config)
    prepare_process(config)
    check_parts(config)
    trainer_settings(config)
    settle_devices(config)
    return config
