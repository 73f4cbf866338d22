"""What a `_target_` names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ocrexp.config.moved import current, tell
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean


def locate(target: str, path: str) -> Callable[..., Any]:
    """Import what a `_target_` names; `path` is the config key, for the message."""
    tell(target, path)
    target = current(target)
    module_name, _, attribute = target.rpartition(".")
    if not module_name:
        raise ConfigError(f"{path}._target_: {target!r} is no importable path: write module.Class")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise  # the module is there, something that it needs is not
        raise ConfigError(
            f"{path}._target_: there is no module {module_name} among the installed packages, nor in the start folder "
            f"{Path.cwd()}; start from the folder that holds your package, or correct the name"
        ) from error
    except AttributeError as error:
        names = vars(importlib.import_module(module_name))
        raise ConfigError(
            f"{path}._target_: {module_name} has no {attribute}{did_you_mean(attribute, names)}"
        ) from error
    if not callable(found):
        raise ConfigError(f"{path}._target_: {target} is not callable")
    return found
