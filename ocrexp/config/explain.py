"""Hydra's and OmegaConf's exceptions, retold in one line: what is wrong, where, and the mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath, PurePosixPath

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from ocrexp.config.paths import groups, options_of, user_conf
from ocrexp.engine.devices import cards_in
from ocrexp.errors import ConfigError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ", did you mean X?" for the nearest known word, else the empty string."""
    known = [str(name) for name in known]
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def key_of(override: str) -> str:
    """The key of an override as typed: `+optim.lr=1` gives `optim.lr`."""
    return override.split("=", 1)[0].lstrip("+~").split("@", 1)[0]


def unknown_key(key: str, config: DictConfig, example: str = "") -> ConfigError:
    """One line for a key that the configuration does not have, with the nearest one that it has."""
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if isinstance(node, DictConfig):
        siblings = [str(name) for name in node] + ([] if parent else groups())
        where = f"in {parent}" if parent else "at the top level"
        hint = did_you_mean(leaf, siblings)
        if not hint:
            hint = _elsewhere(leaf, config)
        if not hint:
            hint = f"; it has: {', '.join(siblings[:14])}" + (", …" if len(siblings) > 14 else "")
        return ConfigError(f"unknown key {key}: there is no '{leaf}' {where}{hint}")
    if parent and not parent.startswith("hydra"):
        return unknown_key(parent, config, example or key)
    return ConfigError(f"unknown key {key}")


def _elsewhere(leaf: str, config: DictConfig) -> str:
    """`lr` typed without its node: name the full keys that end so."""
    found = [key for key in _all_keys(config) if key.rpartition(".")[2] == leaf]
    return f"; did you mean {found[0]}?" if found else ""


def _all_keys(config: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for name in config:
        full = f"{prefix}{name!s}"
        keys.append(full)
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            keys += _all_keys(node, f"{full}.")
    return keys


def as_config_error(error: BaseException, verb: str, overrides: Sequence[str]) -> ConfigError | None:
    """Retell an exception of the configuration machinery; None if it is none of its exceptions."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    chain = _chain(error)
    text = str(error).strip()
    if isinstance(error, ConfigError):
        return error
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"cannot read the override {error.override!r}: {text.splitlines()[0]}; write key=value, and quote values"
            " that hold commas, spaces or '=': 'key=\"a, b\"'"
        )
    if isinstance(error, MissingConfigException):
        return _missing_config(error, text)
    for cause in chain:
        found = _omegaconf_error(cause, verb, overrides)
        if found is not None:
            return found
    if isinstance(error, HydraException):
        return _hydra_error(text, verb, overrides)
    if isinstance(error, ValueError) and text.startswith("Config group override must be"):
        return _no_choice(overrides)
    return None


def _no_choice(overrides: Sequence[str]) -> ConfigError:
    """`logger=null`: a group needs an option, and some have one that is called none."""
    known = groups()
    at_fault = next((item for item in overrides if key_of(item) in known and item.endswith("=null")), "")
    group = key_of(at_fault)
    options = options_of(group)
    hint = f"; did you mean {group}=none?" if "none" in options else ""
    return ConfigError(f"{at_fault}: a group takes one of its options{hint or ';'} options: {', '.join(options)}")


def _chain(error: BaseException) -> list[BaseException]:
    chain, seen = [], error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return chain


def _missing_config(error: Exception, text: str) -> ConfigError:
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        path = PurePosixPath(str(missing))
        group, option = str(path.parent), path.stem
        options = options_of(group)
        if (renamed := _ends_in_yml(group, option)) is not None:
            return ConfigError(f"{renamed} is not read: configuration files end in .yaml; rename it to {option}.yaml")
        if options:
            hint = did_you_mean(option, options)
            return ConfigError(f"{group} has no option '{option}'{hint or ';'} options: {', '.join(options)}")
        if group != ".":
            return ConfigError(f"there is no config group '{group}'{did_you_mean(group, groups())}")
    return ConfigError(text.splitlines()[0])


def _ends_in_yml(group: str, option: str) -> PurePath | None:
    """The user's file of this option that has the other ending."""
    own = user_conf()
    path = None if own is None else own / group / f"{option}.yml"
    return path.relative_to(Path.cwd()) if path is not None and path.is_file() else None


def _omegaconf_error(error: BaseException, verb: str, overrides: Sequence[str]) -> ConfigError | None:
    if not isinstance(error, OmegaConfBaseException):
        return None
    key = str(error.full_key or "")
    first = str(error).splitlines()[0]
    if isinstance(error, InterpolationResolutionError):
        return ConfigError(f"{key}: {first}")
    if re.search(r"(is not in struct|not in '\w+')", first):
        return unknown_key(key, _without(verb, overrides, key))
    match = re.match(
        r"Value '(?P<value>.*)' of type '\w+' (?:could not be converted to|is not a subclass of) (?P<want>\w+)",
        first,
    )
    if match:
        return ConfigError(f"{key}: {match['value']!r} is no {_plain_type(match['want'])}")
    return ConfigError(f"{key}: {first}" if key else first)


def _plain_type(name: str) -> str:
    return {"Integer": "whole number", "Float": "number", "Boolean": "true or false", "String": "text"}.get(name, name)


def _hydra_error(text: str, verb: str, overrides: Sequence[str]) -> ConfigError:
    first = text.splitlines()[0]
    could_not = re.match(r"Could not (?:override|append|delete).*?'(?P<key>[^']+)'", first)
    if could_not:
        key = key_of(could_not["key"])
        if "already" in text or first.startswith("Could not append"):
            return ConfigError(f"{key} is there already: write {key}=… without the leading '+'")
        return unknown_key(key, _without(verb, overrides, key))
    requires = re.search(r"'(?P<override>[^']+)' requires --multirun", text)
    if requires or "requires --multirun" in text or "Ambiguous value" in first:
        swept = requires["override"] if requires else next((item for item in overrides if "," in item), "")
        key, _, value = swept.partition("=")
        if key.lstrip("+") == "trainer.device" and (cards := cards_in(value)):
            return ConfigError(
                f"{swept}: a run on several cards is trainer.devices=[{cards}], or trainer.devices="
                f"{cards.count(',') + 1} for the first ones; add -m to run one job after the other on each"
            )
        return ConfigError(
            f"{swept} names several values: add -m to run them as a sweep, or quote them as one list: {key}=[{value}]"
        )
    return ConfigError(" ".join(text.split()))


def _without(verb: str, overrides: Sequence[str], key: str) -> DictConfig:
    """The config that the overrides give without the one that failed, to look for the nearest key in."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from ocrexp.config.paths import shipped_conf

    GlobalHydra.instance().clear()
    known = set(groups())
    choices = [item for item in overrides if key_of(item) in known and key_of(item) != key and "," not in item]
    with initialize_config_dir(str(shipped_conf()), version_base="1.3"):
        try:
            return compose(verb, overrides=choices)
        except Exception:  # the choices themselves are at fault: fall back to the defaults, whose keys are sound
            return compose(verb)
