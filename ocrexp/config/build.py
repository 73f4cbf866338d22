"""Builds objects from configuration; the only module that calls `instantiate`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ocrexp.config.locate import locate
from ocrexp.config.moved import with_current_names
from ocrexp.errors import ConfigError
from ocrexp.located import address, located, remember


def build(node: Any, **extra: Any) -> Any:
    """Build one node that has a `_target_`; `extra` are arguments that only the program knows.

    Raises the part's own one-line errors, and ConfigError with the key for anything else that its constructor raises.
    """
    from hydra.errors import InstantiationException

    from ocrexp.errors import OcrexpError

    try:
        part = instantiate(with_current_names(node), **extra, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, OcrexpError | ImportError | MemoryError | OSError):
            raise cause from error
        if isinstance(cause, ValueError | TypeError | LookupError | ArithmeticError | AttributeError):
            target = str(OmegaConf.select(node, "_target_", default="?"))
            inner = re.search(r"^full_key: (\S+)$", str(error), re.MULTILINE)  # the key of the part that raised
            key = inner[1] if inner else node._get_full_key("") or target
            named = OmegaConf.select(node._get_root(), f"{key}._target_", default=None) or target
            raise ConfigError(address(key, _class_of(str(named)), _reason(cause))) from error
        if cause is None or isinstance(cause, InstantiationException):  # Hydra's own, about keys such as `_args_`
            raise _own(node, error) from error
        raise
    except (TypeError, ValueError) as error:
        raise _own(node, error) from error
    if key := node._get_full_key(""):
        remember(part, key)
    return part


def _own(node: Any, error: Exception) -> ConfigError:
    """What Hydra itself says about keys such as `_args_` and `_partial_`."""
    said = re.search(r'InstantiationException\("(.*)"\)', str(error))
    reason = said[1] if said else str(error).partition("\n")[0]
    key = node._get_full_key("") or OmegaConf.select(node, "_target_", default="?")
    return ConfigError(f"{key}: {reason}; correct its keys that begin with an underscore")


def keyed(key: str, partial: Callable[..., Any], **values: Any) -> Any:
    """Complete a part that `build` has given as a partial; `key` is where it stands, for the message.

    Raises ConfigError with the key where the part raises a ValueError.
    """
    with located(key, partial, ConfigError):
        part = partial(**values)
    remember(part, key)
    return part


def _reason(cause: Exception) -> str:
    """A part's message; with the kind of the error where that is not one about a value."""
    return str(cause) if isinstance(cause, ValueError | TypeError) else f"{type(cause).__name__}: {cause}"


def _class_of(target: str) -> Any:
    try:
        return locate(target, "")
    except (ConfigError, ImportError):
        return None


def named(node: DictConfig | None) -> dict[str, Any]:
    """Build a dict of named nodes in their order; a name that is null is disabled."""
    if node is None:
        return {}
    return {str(name): build(part) for name, part in node.items() if part is not None}
