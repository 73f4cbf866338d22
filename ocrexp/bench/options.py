"""Checks the values of `ocrexp bench` before anything is measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.config.places import file_to_write
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

BACKENDS = ("onnx", "paddle")


def check_options(config: DictConfig, measures: Mapping[str, Any]) -> list[str]:
    """The names of what is to be measured. Raises ConfigError for an invalid value.

    A single name, number or text may stand in place of a list.
    """
    for key in ("what", "backends", "threads", "batch_sizes"):
        if config[key] is None or not OmegaConf.is_list(config[key]):
            config[key] = [config[key]]
    _check_list(config, "what", f"names of {', '.join(measures)}", lambda name: name in measures, measures)
    _check_list(config, "backends", f"names of {', '.join(BACKENDS)}", lambda name: name in BACKENDS, BACKENDS)
    _check_list(config, "batch_sizes", "numbers of 1 or more", _is_count)
    _check_list(config, "threads", "numbers of 1 or more, or null", lambda value: value is None or _is_count(value))
    for key in ("repeats", "rec_images", "page_count", "line_count"):
        if not _is_count(config[key]):
            raise ConfigError(f"{key}: expected a whole number, 1 or more, got {config[key]!r}")
    if not _is_number(config.drop_score) or not 0 <= config.drop_score <= 1:
        raise ConfigError(f"drop_score: expected a number from 0 to 1, got {config.drop_score!r}")
    for key in ("det_args", "rec_args"):
        if config[key] is not None and not OmegaConf.is_dict(config[key]):
            raise ConfigError(f"{key}: expected {{NAME: VALUE}}, got {config[key]!r}; see conf/bench.yaml")
    for key in ("paddleocr", "paddleocr3", "rapidocr"):
        if config[key] is not None and shutil.which(str(config[key])) is None:
            raise ConfigError(
                f"{key}={config[key]}: not a program that can be run; give the Python of an environment, such as "
                "venv/bin/python"
            )
    for key in ("root", "rec_root", "images", "lines_root", "paddleocr_source"):
        if config[key] is not None and not Path(str(config[key])).is_dir():
            raise ConfigError(f"{key}={config[key]}: folder not found; give an existing folder")
    if config.output is not None:
        file_to_write(Path(str(config.output)), "output")
    return [str(name) for name in config.what]


def _check_list(
    config: DictConfig,
    key: str,
    expected: str,
    fine: Callable[[Any], bool],
    names: Mapping[str, Any] | tuple[str, ...] = (),
) -> None:
    values = list(config[key])
    wrong = [value for value in values if not fine(value)]
    if wrong or not values:
        hint = did_you_mean(str(wrong[0]), names) if wrong else ""
        raise ConfigError(f"{key}: expected {expected}, got {wrong[0] if wrong else 'none'}{hint}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
