"""Rewrites exceptions of Hydra and OmegaConf in one line: where, what is wrong, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from ocrexp.command_line import key_of
from ocrexp.config.paths import groups, options_of, own_folders
from ocrexp.config.plugins import PLUGINS, missing_plugin
from ocrexp.engine.devices import cards_in
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean


def unknown_key(key: str, config: DictConfig, example: str = "") -> ConfigError:
    """One line for an unknown key, with the nearest known key."""
    parent, _, leaf = key.rpartition(".")
    try:
        node = OmegaConf.select(config, parent) if parent else config
    except OmegaConfBaseException:  # a parent that is not a node, or an interpolation without a value
        node = None
    if isinstance(node, DictConfig):
        options = (
            [] if parent or "trainer" not in config else groups()
        )  # other verbs choose options of their nodes only
        siblings = [name for name in dict.fromkeys([*map(str, node), *options]) if name != leaf]
        where = f"in {parent}" if parent else "at the top level"
        if advice := _not_chosen(parent, leaf):
            return ConfigError(f"unknown key {example or key}: '{leaf}' does not exist {where}; {advice}")
        from ocrexp.config.nodes import meant_key

        meant = meant_key(leaf, example[len(key) + 1 :], config) if not parent and options else ""
        hint = f"; did you mean {meant}?" if meant else did_you_mean(leaf, siblings)
        if not hint:
            hint = _elsewhere(key, config)
        if not hint:
            hint = f"; known keys: {', '.join(siblings[:14])}" + (", …" if len(siblings) > 14 else "")
        return ConfigError(f"unknown key {key}: '{leaf}' does not exist {where}{hint}")
    if parent and not parent.startswith("hydra"):
        if switched_off := _is_null(parent, config):
            return ConfigError(f"{example or key}: {parent} is null here; {switched_off}")
        return unknown_key(parent, config, example or key)
    return ConfigError(f"unknown key {key}")


def _not_chosen(parent: str, leaf: str) -> str:
    """Advice for a named part that another option of its group contains: `logger.wandb` without logger=wandb."""
    from ocrexp.config.nodes import NAMED, options_with

    options = options_with(parent, leaf) if parent in NAMED else []
    return f"choose it with {parent}={options[0]}" if options else ""


def _is_null(parent: str, config: DictConfig) -> str:
    """Advice for a node that is null, so that it has no keys to set; the empty string if it does not exist."""
    from ocrexp.config.nodes import NAMED, PARTS, options_with

    holder_path, _, name = parent.rpartition(".")
    try:
        holder = OmegaConf.select(config, holder_path) if holder_path else config
    except OmegaConfBaseException:
        return ""
    if not isinstance(holder, DictConfig) or name not in holder or holder[name] is not None:
        return ""
    if holder_path in NAMED:
        options = options_with(holder_path, name)
        return f"choose it with {holder_path}={options[0]}" if options else f"set {parent} as a whole"
    group = PARTS.get(parent, {"loader.multi_scale": "loader"}.get(parent, ""))
    if group == "loader":
        return "choose it with loader=multi_scale"
    return f"choose it with {group}=NAME: {', '.join(options_of(group))}" if group else f"set {parent} as a whole"


def _elsewhere(typed: str, config: DictConfig) -> str:
    """Suggest full keys for a key typed without its node: `lr`."""
    leaf = typed.rpartition(".")[2]
    found = [key for key in _all_keys(config) if key.rpartition(".")[2] == leaf and key != typed]
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
    """Rewrite an exception of Hydra or OmegaConf; None for any other exception."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    chain = _chain(error)
    text = str(error).strip()
    if known := next((cause for cause in chain if isinstance(cause, ConfigError)), None):
        return known
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override), text)
    if isinstance(error, MissingConfigException):
        return _missing_config(error, text)
    for cause in chain:
        found = _omegaconf_error(cause, verb, overrides)
        if found is not None:
            return found
    if isinstance(error, AttributeError) and (match := re.search(r"'NoneType'.*\n\s*full_key: (\S+)", text)):
        key = match[1]  # a mapping for a typed node that is null, which OmegaConf cannot handle
        why = _is_null(key, _without(verb, overrides, key)) or f"set {key} as a whole"
        return ConfigError(f"{key} is null here; {why}, and set its keys: {key}.KEY=…")
    if isinstance(error, HydraException):
        return _hydra_error(text, verb, overrides)
    if isinstance(error, AssertionError) and text.startswith("Unexpected type for root"):
        chosen = set(groups())
        for item in overrides:  # the first override that sets a key below null or below a value
            key = key_of(item)
            if "." in key and key not in chosen:
                told = unknown_key(key, _without(verb, overrides, key))
                if " is null here" in str(told):
                    return told
        return ConfigError(
            "an override sets a key below a value that is null or not a node; choose an option of its group first"
        )
    if isinstance(error, ValueError) and text.startswith("Config group override must be"):
        return _no_choice(overrides)
    if any(isinstance(cause, RecursionError) for cause in chain):
        return ConfigError(
            "your ./conf: the defaults of a file contain the file itself, directly or through another file; remove that"
            " entry"
        )
    return None


def _unreadable(override: str, text: str) -> ConfigError:
    """One line for an override that Hydra cannot parse, with the spelling that it can."""
    key, _, value = override.partition("=")
    what = text.splitlines()[0].partition(": ")[2].strip() or text.splitlines()[0]
    if "no viable alternative" in what or what == override or not what:
        what = "not a value that Hydra can read"
    if any(value.count(left) > value.count(right) for left, right in ("[]", "{}", "()")):
        what = "a closing bracket is missing"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    shell = f"'{key}=\"{quoted}\"'".replace("\n", " ") if "'" not in value else f"{key}=QUOTED TEXT"
    return ConfigError(f"{override!r}: cannot read this override ({what}); to pass it as a text, write {shell}")


def _no_choice(overrides: Sequence[str]) -> ConfigError:
    """One line for `logger=null`: a group needs an option; some groups have an option named none."""
    known = groups()
    at_fault = next((item for item in overrides if key_of(item) in known and item.endswith("=null")), "")
    group = key_of(at_fault)
    options = options_of(group)
    hint = f"; did you mean {group}=none?" if "none" in options else ""
    return ConfigError(f"{at_fault}: expected an option of the group{hint or ';'} options: {', '.join(options)}")


def _chain(error: BaseException) -> list[BaseException]:
    chain, seen = [], error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return chain


def _wrong_file(group: str, option: str) -> ConfigError | None:
    """One line if a user's file nearly matches the option: another suffix, or a folder of that name."""
    for folder in own_folders():
        path = folder / group / option
        for suffix in (".yml", ".YAML", ".YML", ".yaml.txt", ".json"):
            other = path.with_name(path.name + suffix)
            if other.is_file():
                return ConfigError(f"{other}: an option must end in .yaml; rename it to {option}.yaml")
        if (path.with_name(f"{option}.yaml")).is_dir():
            return ConfigError(f"{path}.yaml: expected a file, got a folder; rename it")
        if option.endswith(".yml") and path.is_file():
            return ConfigError(f"{group}={option}: expected an option without a suffix; rename the file to .yaml")
    return None


def _missing_config(error: Exception, text: str) -> ConfigError:
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        path = PurePosixPath(str(missing))
        group, option = str(path.parent), path.name.removesuffix(".yaml")
        if group in PLUGINS:
            return missing_plugin(group, option)
        options = options_of(group)
        if wrong := _wrong_file(group, option):
            return wrong
        if options:
            hint = did_you_mean(option, options)
            return ConfigError(f"{group}={option}: unknown option{hint or ';'} options: {', '.join(options)}")
        if group != ".":
            return ConfigError(f"{group}: unknown config group{did_you_mean(group, groups())}")
    return ConfigError(text.splitlines()[0])


def unresolved(error: InterpolationResolutionError) -> ConfigError:
    """The line for a value that refers to another one that cannot be had."""
    first = str(error).splitlines()[0]
    missing = re.fullmatch(r"Interpolation key '(.+)' not found", first)
    if missing is None:
        return ConfigError(f"{error.full_key}: {first}")
    return ConfigError(
        f"{error.full_key}: takes the value of {missing[1]}, which this configuration does not have; set "
        f"{error.full_key}=VALUE, or choose another part"
    )


def _omegaconf_error(error: BaseException, verb: str, overrides: Sequence[str]) -> ConfigError | None:
    if not isinstance(error, OmegaConfBaseException):
        return None
    if isinstance(error, InterpolationResolutionError):
        return unresolved(error)
    key = str(error.full_key or "")
    first = str(error).splitlines()[0]
    if re.search(r"(is not in struct|not in '\w+')", first):
        return unknown_key(key, _without(verb, overrides, key), _below(key, overrides))
    match = re.match(
        r"Value '(?P<value>.*)' of type '\w+' (?:could not be converted to|is not a subclass of) (?P<want>\w+)",
        first,
    )
    if match:
        return ConfigError(f"{key}: expected {_plain_type(match['want'])}, got {match['value']!r}")
    return ConfigError(f"{key}: {first}" if key else first)


def _below(key: str, overrides: Sequence[str]) -> str:
    """The key of the first override that sets something below a key; "" if none does."""
    return next((given for given in map(key_of, overrides) if given.startswith(f"{key}.")), "")


def _plain_type(name: str) -> str:
    return {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "a text"}.get(
        name, name
    )


def _hydra_error(text: str, verb: str, overrides: Sequence[str]) -> ConfigError:
    first = text.splitlines()[0]
    if "Could not override 'loss@loss.own'" in text:  # by the student's task
        return ConfigError(
            "loss: the model has several networks, and this loss compares none; remove loss=…, and choose the loss "
            "that the student has alone with loss@loss.own=NAME"
        )
    could_not = re.match(r"Could not (?:override|append|delete).*?'(?P<key>[^']+)'", first)
    if could_not:
        key = key_of(could_not["key"])
        if "already" in text or first.startswith("Could not append"):
            return ConfigError(f"{key}: exists already; write {key}=… without the leading '+'")
        return unknown_key(key, _without(verb, overrides, key), _below(key, overrides))
    requires = re.search(r"'(?P<override>[^']+)' requires --multirun", text)
    if requires or "requires --multirun" in text or "Ambiguous value" in first:
        swept = requires["override"] if requires else next((item for item in overrides if _is_swept(item)), "")
        key, _, value = swept.partition("=")
        if key.lstrip("+") == "trainer.device" and (cards := cards_in(value)):
            return ConfigError(
                f"{swept}: has several values; to train on these GPUs, write trainer.devices=[{cards}], or "
                f"trainer.devices={cards.count(',') + 1} for the first ones; to run one job per GPU, add -m"
            )
        if re.match(r"\w+\(", value):
            return ConfigError(f"{swept}: has several values; add -m to run a sweep with one job per value")
        return ConfigError(
            f"{swept}: has several values; add -m to run them as a sweep, or write one list: {key}=[{value}]"
        )
    missing = re.match(r"You must specify '(?P<group>[^']+)'", first)
    if missing:
        group = missing["group"].partition("@")[0]
        return ConfigError(f"{group}: is not chosen; add {group}=NAME: {', '.join(options_of(group))}")
    return ConfigError(" ".join(text.split()))


def _is_swept(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return bool(OverridesParser.create().parse_override(override).is_sweep_override())
    except (HydraException, ValueError):
        return False


def _without(verb: str, overrides: Sequence[str], key: str) -> DictConfig:
    """The configuration without the override that failed, in which the nearest key is searched."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from ocrexp.config.paths import shipped_conf

    GlobalHydra.instance().clear()
    known = set(groups())
    choices = [item for item in overrides if key_of(item) in known and key_of(item) != key and "," not in item]
    with initialize_config_dir(str(shipped_conf()), version_base="1.3"):
        try:
            return compose(verb, overrides=choices)
        except Exception:  # the choices are wrong: use the defaults, whose keys are valid
            return compose(verb)
