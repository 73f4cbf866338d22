"""Imports the object that a `_target_` names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ocrexp.config.moved import current, tell
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean


def locate(target: str, path: str) -> Callable[..., Any]:
    """Import the object that a `_target_` names; `path` is the config key, for the message."""
    tell(target, path)
    target = current(target)
    module_name, _, attribute = target.rpartition(".")
    if not module_name:
        raise ConfigError(f"{path}._target_: expected module.Class, got {target!r}")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise  # the module exists, but one of its imports is missing
        raise ConfigError(
            f"{path}._target_: module {module_name} is neither installed nor in the start folder {Path.cwd()}; start "
            "in the folder that contains your package, or correct the name"
        ) from error
    except AttributeError as error:
        names = vars(importlib.import_module(module_name))
        raise ConfigError(
            f"{path}._target_: {module_name} has no {attribute}{did_you_mean(attribute, names)}"
        ) from error
    if not callable(found):
        raise ConfigError(f"{path}._target_: expected a class or function, got {target}, which is not callable")
    return found
