"""Changes of a run's frozen configuration by overrides, as `resume`, `eval` and `export` take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrexp.command_line import key_of
from ocrexp.config.explain import as_config_error, unknown_key
from ocrexp.config.paths import groups, options_of
from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def split_overrides(verb_config: Sequence[str], overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split overrides into those of the verb's own keys and those of the run's configuration."""
    own = [item for item in overrides if key_of(item) in verb_config]
    return own, [item for item in overrides if key_of(item) not in verb_config]


def apply_overrides(
    config: DictConfig,
    overrides: Sequence[str],
    *,
    refuse: Callable[[str], str | None] | None = None,
    replaceable: Sequence[str] = (),
) -> DictConfig:
    """Change a frozen configuration.

    `refuse(key)` gives the reason why a key may not change, or None. `replaceable` are the groups for which another
    option may be chosen (`dataset=icdar2015`, `logger=[csv,visualdl]`); options are applied before values, in any
    order. For any other group that is an error, because the node would become a string.
    Raises ConfigError, in one line, for an unknown key, a refused key, a wrong type, an unknown option.
    """
    known = groups()
    parsed = _parse(overrides)
    for override in sorted(parsed, key=lambda item: item.key_or_group not in known):
        _choose_named_part(config, override, replaceable)
        key, text = override.key_or_group, override.input_line or ""
        if refuse and key not in known and not override.is_add() and not override.is_force_add():
            _known_or_raise(config, key)  # report a misspelled key as such
        reason = refuse(key) if refuse else None
        if reason:
            raise ConfigError(f"{key}: may not change here: {reason}")
        if key in known and not override.is_delete():
            _replace_group(config, key, override.value(), replaceable)
            continue
        _set_value(config, key, override, text)
    return config


def _known_or_raise(config: DictConfig, key: str) -> None:
    if not is_there(config, key):
        raise unknown_key(key, config)


def _parse(overrides: Sequence[str]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except Exception as error:
        explained = as_config_error(error, "train", overrides)
        if explained is None:
            raise
        raise explained from error
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: only `train -m` supports sweeps; write key=[a,b] to pass a list")
    return parsed


def _set_value(config: DictConfig, key: str, override: Override, text: str) -> None:
    if override.is_delete():
        raise ConfigError(f"{text}: keys of a run's configuration cannot be deleted; remove this override")
    force = override.is_add() or override.is_force_add()
    if not force and not is_there(config, key):
        raise unknown_key(key, config)
    try:
        OmegaConf.update(config, key, override.value(), merge=True, force_add=force)
    except (OmegaConfBaseException, AttributeError) as error:
        raise as_config_error(error, "train", []) or error from error


def _choose_named_part(config: DictConfig, override: Override, replaceable: Sequence[str]) -> None:
    """For `callbacks.early_stopping.patience=5` in a run without this callback, add it from its group first."""
    from ocrexp.config.compose import compose
    from ocrexp.config.nodes import NAMED, options_with

    group, _, rest = override.key_or_group.partition(".")
    name, _, key = rest.partition(".")
    forced = override.is_add() or override.is_force_add() or override.is_delete()
    if forced or not key or group not in NAMED or group not in replaceable or group not in config:
        return
    if config[group] is None or name not in config[group] or config[group][name] is not None:
        return
    options = options_with(group, name)
    if options:
        config[group][name] = compose("train", [f"{group}={options[0]}"])[group][name]


def is_there(config: DictConfig, key: str) -> bool:
    """Whether a configuration has the key, whatever its value: also `???` and null can be set."""
    if key.rpartition(".")[2].isdecimal():  # an element of a list
        return OmegaConf.select(config, key, throw_on_missing=False) is not None
    node: Any = config
    *parents, last = key.split(".")
    for name in parents:
        node = node._get_node(name) if isinstance(node, DictConfig) and name in node.keys() else None  # noqa: SIM118
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            return False
    if not isinstance(node, DictConfig):
        return False
    return last in node.keys()  # noqa: SIM118 - `in` does not see a key whose value is missing


def _replace_group(config: DictConfig, group: str, choice: Any, replaceable: Sequence[str]) -> None:
    options = [str(option) for option in (choice if isinstance(choice, list) else [choice])]
    if group not in replaceable:
        node = {"optimizer": "optim", "scheduler": "optim.schedule"}.get(group, group.replace("/", "."))
        raise ConfigError(
            f"{group}={choice}: the {group} of a run cannot be replaced; change single keys with {node}.KEY=…"
        )
    for option in options:
        if option not in options_of(group):
            raise ConfigError(f"{group}={option}: unknown option; options: {', '.join(options_of(group))}")
    from ocrexp.config.compose import compose

    fresh = compose("train", [f"{group}=[{','.join(options)}]"])
    OmegaConf.set_struct(config, False)
    config[group] = fresh[group]
    OmegaConf.set_struct(config, True)
