"""The shape of a composed configuration, checked before anything heavy is imported.

Every top-level node must be one that a part reads, and every part must name its class with `_target_`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from ocrexp.config.paths import groups, options_of, own_folders, shipped_conf
from ocrexp.errors import ConfigError
from ocrexp.files import read_text
from ocrexp.nearest import did_you_mean
from ocrexp.yaml_text import read_yaml

# Nodes of one part each, and the group that chooses it.
PARTS = {
    "dataset": "dataset",
    "targets": "targets",
    "model": "model",
    "model.transform": "model/transform",
    "model.backbone": "model/backbone",
    "model.neck": "model/neck",
    "model.head": "model/head",
    "model.auxiliary": "model/auxiliary",
    "loss": "loss",
    "postprocess": "postprocess",
    "metric": "metric",
    "charset": "charset",
    "optim.optimizer": "optimizer",
    "optim.schedule": "scheduler",
    "adapt": "adapt",
}
# Nodes of named parts; a name that is null is disabled.
NAMED = ("augment", "preprocess", "callbacks", "logger")
# Nodes of values.
VALUES = ("trainer", "loader", "optim")


def node_errors(config: DictConfig) -> Iterator[ConfigError]:
    """The faults of the top-level nodes and of parts, one line each.

    They are: a node that no part reads, a part that is a text or has no `_target_`, a named part whose group was not
    chosen.
    """
    if "trainer" in config and "model" in config:  # of a run; `compose` checks the keys of the other verbs
        yield from _top_errors(config)
    checks = [partial(_check_part, config, path, group) for path, group in PARTS.items()]
    checks += [partial(_check_named, config, name) for name in NAMED]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            yield error


@cache
def known_nodes() -> tuple[str, ...]:
    """The nodes that may be at the top level of a training configuration."""
    shipped = shipped_conf()
    own: dict[str, None] = {}  # in order; the files of a task may add values that only this task reads
    for path in (shipped / "train.yaml", *sorted((shipped / "task").glob("*.yaml"))):
        content = read_yaml(path.read_bytes())
        own |= dict.fromkeys(str(key) for key in content if key != "defaults")
    parts = (*VALUES, *NAMED, *PARTS)
    nodes = (path for path in PARTS if "." not in path)
    return (*(key for key in own if key not in parts), *VALUES, *NAMED, *nodes, "hydra")


def _top_errors(config: DictConfig) -> Iterator[ConfigError]:
    known = known_nodes()
    unknown = [key for key in map(str, config) if key not in known]
    read = _referenced(config) if unknown else set()
    for key in unknown:
        if key in read:
            continue
        where = _file_that_sets(key)
        first = next(map(str, config[key]), "") if isinstance(config[key], DictConfig) else ""
        if (meant := meant_key(key, first, config)) and not _own_files(key):
            yield ConfigError(
                f"{where}unknown key {key}: no part reads '{key}' at the top level; did you mean {meant}?"
            )
            continue
        if key in groups():
            yield ConfigError(
                f"{where}unknown key {key}: the values of a file in conf/{key}/ go into this node, which no part reads;"
                " write '# @package _global_' (or the package of its part) as the first line of the file"
            )
            continue
        hint = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
        yield ConfigError(f"{where}unknown key {key}: no part reads '{key}' at the top level{hint}")


def meant_key(group: str, rest: str, config: DictConfig) -> str:
    """The key that `GROUP.REST` was meant to be where the group fills a node of another name; "" for any other group.

    `optimizer.beta1` was meant to be optim.optimizer.beta1, `optimizer.lr` optim.lr.
    """
    node = next((path for path, filled_by in PARTS.items() if filled_by == group and path != group), "")
    holder = node.rpartition(".")[0]
    if holder and rest and rest.partition(".")[0] in (OmegaConf.select(config, holder) or {}):
        node = holder
    return f"{node}.{rest}" if node and rest else node


def _own_files(group: str) -> bool:
    """Whether the user has options of a group, whose header may be missing."""
    return any(next((folder / group).glob("*.yaml"), None) for folder in own_folders())


def _referenced(config: DictConfig) -> set[str]:
    """Top-level nodes that interpolations read: `${my.width}` or oc.select read `my`."""
    inside = (body for text in _texts(OmegaConf.to_container(config)) for body in re.findall(r"\$\{([^}]*)", text))
    return {name for body in inside for name in re.findall(r"\w+", body)}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str) and "${" in node:
        yield node


def _file_that_sets(key: str) -> str:
    """`conf/experiment/x.yaml:4: ` if a file of the user has this top-level key, otherwise the empty string."""
    for folder in own_folders():
        for path in sorted(folder.rglob("*.yaml")):
            try:
                node = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
            except (OSError, ValueError, RecursionError, yaml.YAMLError):
                continue
            for name, _ in getattr(node, "value", []) if isinstance(node, yaml.MappingNode) else []:
                if name.value == key:
                    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
                    return f"{shown}:{name.start_mark.line + 1}: "
    return ""


def _check_part(config: DictConfig, path: str, group: str) -> None:
    parent, _, name = path.rpartition(".")
    holder = OmegaConf.select(config, parent) if parent else config
    if not isinstance(holder, DictConfig) or name not in holder or OmegaConf.is_missing(holder, name):
        return
    value = holder[name]
    if value is None or (OmegaConf.is_config(value) and "_target_" in value):
        return
    options = options_of(group)
    if OmegaConf.is_config(value):
        given = ", ".join(map(str, value)) if isinstance(value, DictConfig) else "a list"
        raise ConfigError(
            f"{path}: expected a part with _target_, got {f'only {given}' if given else 'an empty node'}; choose one"
            f" with {group}=NAME: {', '.join(options)}"
        )
    raise part_expected(path, group, str(value))


def part_expected(path: str, group: str, text: str) -> ConfigError:
    """One line for a part that is a text, with the override that chooses it."""
    options = options_of(group)
    if text in options:
        return ConfigError(f"{path}: expected a node with _target_, got {text!r}; choose it with {group}={text}")
    near = did_you_mean(text, options).replace("did you mean ", f"did you mean {group}=")
    listed = ", ".join(options)
    return ConfigError(
        f"{path}: expected a node with _target_, got {text!r}{near or f'; choose one with {group}=NAME: {listed}'}"
    )


def _check_named(config: DictConfig, name: str) -> None:
    if name not in config or OmegaConf.is_missing(config, name):
        return
    node = config[name]
    if node is None:
        return
    if not isinstance(node, DictConfig):
        listed = ", ".join(options_of(name))
        raise ConfigError(
            f"{name}: expected named parts, got {str(node)!r}; choose an option with {name}=NAME: {listed}"
        )
    for key in node:
        part = None if OmegaConf.is_missing(node, key) else node[key]
        if part is None or (isinstance(part, DictConfig) and "_target_" in part):
            continue
        advice = _advice(name, str(key), part, list(map(str, node)))
        raise ConfigError(f"{name}.{key!s}: {_why_no_part(part)}; {advice}")


def _why_no_part(part: Any) -> str:
    if isinstance(part, DictConfig):
        return "this part is not chosen (it has no _target_), so nothing reads its values"
    return f"expected a part with _target_, got {str(part)!r}"


def _advice(group: str, key: str, part: Any, names: list[str]) -> str:
    options = options_with(group, key)
    if isinstance(part, bool) and not options:
        return f"remove it, or write {group}.{key}=null to disable it"
    if options:
        shown = f"choose it with {group}={options[0]}"
        in_file = f" (in a file: 'override /{group}: {options[0]}' in its defaults)"
        return shown + in_file
    known = [name for name in {*names, *_all_names(group)} if name != key]
    hint = did_you_mean(key, known)
    return hint.removeprefix("; ") if hint else f"add its class: {group}.{key}._target_=module.Class"


def options_with(group: str, name: str) -> list[str]:
    """The options of a group whose files contain a part of this name, the simplest first."""
    found = []
    for option in options_of(group):
        if name in _names_in(group, option):
            found.append(option)
    return sorted(found, key=lambda option: (option != name, len(_names_in(group, option))))


def _all_names(group: str) -> set[str]:
    return {name for option in options_of(group) for name in _names_in(group, option)}


def _names_in(group: str, option: str) -> list[str]:
    for folder in (*own_folders(), shipped_conf()):
        path = folder / group / f"{option}.yaml"
        if path.is_file():
            try:
                content = read_yaml(read_text(path).encode())
            except (OSError, ValueError):
                return []
            return [
                str(key)
                for key, value in (content.items() if isinstance(content, dict) else ())
                if isinstance(value, dict) and "_target_" in value
            ]
    return []
