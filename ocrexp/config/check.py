"""Checks every `_target_` against its signature before any data is loaded.

It follows torchtune's idea of binding each component's signature: unknown and missing arguments and wrong types are
reported with the config key and the nearest name, without building anything.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from ocrexp.annotations import choices, fits, in_words, type_hints
from ocrexp.config.explain import unresolved
from ocrexp.config.locate import locate
from ocrexp.config.nodes import node_errors
from ocrexp.config.paths import ROLES
from ocrexp.config.schema import schemas
from ocrexp.config.signature import Signature, read_signature
from ocrexp.config.task import check_task
from ocrexp.errors import ConfigError, SeveralConfigErrors
from ocrexp.nearest import did_you_mean

RESERVED = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
# Keys of a node that the builder itself consumes, by the dotted path of the node.
BUILDER_KEYS = {
    "model": {
        "pretrained",
        "pretrained_mode",
        "pretrained_min_coverage",
        "pretrained_charset",
        "pretrained_prefix",
        "pretrained_rgb",
        "freeze",
        "unfreeze_after_steps",
        "widths",
        "quantize_aware",
        "name",
        "image_shape",
    },
    "dataset": {"val_sets"},
}
# A model of several networks (model=distill): each is a node as `model` is.
BUILDER_KEYS |= {f"model.{role}": {*BUILDER_KEYS["model"], "of_task"} for role in ROLES}


def check(config: DictConfig) -> None:
    """Check the closed nodes' keys and all nodes that name a `_target_`.

    Raises ConfigError with one line for each fault: a key that `+` added to a closed node, a target that cannot be
    imported, an unexpected or missing argument, a value of the wrong type, a mandatory key without a value.
    """
    early: list[ConfigError] = []
    try:
        check_early(config)
    except SeveralConfigErrors as error:
        early += error.errors
    except ConfigError as error:
        early.append(error)
    try:
        container = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # it is among the early errors
        container = {}
    _raise_all([*early, *_part_errors(container)])


def check_parts(config: DictConfig) -> None:
    """The rest of `check`, which imports the parts."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    _raise_all(_part_errors(container))


def check_early(config: DictConfig) -> None:
    """The part of `check` that imports nothing heavy: missing values, closed nodes, nodes that are not parts.

    It also checks the arguments of parts whose source states them explicitly.

    Raises ConfigError with one line for each fault.
    """
    errors = list(node_errors(config))
    try:
        errors += (ConfigError(f"{key}: has no value; add {key}=…") for key in sorted(OmegaConf.missing_keys(config)))
        container = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        if not errors:  # otherwise one of these may be the cause
            errors.append(unresolved(error))
        _raise_all(errors)
    assert isinstance(container, dict)
    errors += _closed_node_errors(container)
    if not fits(container.get("seed", 0), int):
        errors.append(ConfigError(f"seed: expected a whole number, got {container['seed']!r}"))
    errors += _batch_size_errors(container)
    seconds = container.get("data_check_seconds") or 0
    if not fits(seconds, float) or seconds < 0:
        errors.append(ConfigError(f"data_check_seconds: expected a number, 0 or more, got {seconds!r}"))
    try:
        check_task(container)
    except ConfigError as error:
        errors.append(error)
    for path, node in _targets(container):
        if (takes := read_signature(str(node["_target_"]))) is not None:
            errors += _argument_errors(path, node, takes)
    _raise_all(errors)


def _batch_size_errors(container: dict[Any, Any]) -> Iterator[ConfigError]:
    """The value may be a number or auto, which the schema cannot say."""
    loader = container.get("loader")
    size = loader.get("batch_size", 1) if isinstance(loader, dict) else 1
    if size not in ("auto", "???") and (not fits(size, int) or size < 1):
        yield ConfigError(f"loader.batch_size: expected a whole number, 1 or more, or auto, got {size!r}")


def _part_errors(container: Any) -> Iterator[ConfigError]:
    for path, node in _targets(container):
        yield from _node_errors(path, node)


def _raise_all(errors: Iterable[ConfigError]) -> None:
    """Raise the errors, each line once."""
    different = list({str(error): error for error in errors}.values())
    if different:
        raise different[0] if len(different) == 1 else SeveralConfigErrors(different)


def _closed_node_errors(container: dict[Any, Any]) -> Iterator[ConfigError]:
    for name, schema in schemas().items():
        if not isinstance(container.get(name) or {}, dict):
            yield ConfigError(
                f"{name}: expected a node of values, got {container[name]!r}; set single keys with {name}.KEY=…"
            )
            continue
        known = [field.name for field in dataclasses.fields(schema)]
        for key in container.get(name) or {}:
            if key not in known:
                hint = did_you_mean(str(key), known) or f"; known keys: {', '.join(known)}"
                yield ConfigError(f"unknown key {name}.{key}: '{key}' does not exist in {name}{hint}")


def _targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _targets(value, f"{path}[{position}]")


def _node_errors(path: str, node: dict[str, Any]) -> Iterator[ConfigError]:
    try:
        target = locate(str(node["_target_"]), path)
    except ConfigError as error:
        yield error
        return
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # a few compiled callables have no signature
        return
    named = {
        name: p
        for name, p in parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name != "self"
    }
    required = {name: p.default is p.empty for name, p in named.items()}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    yield from _argument_errors(path, node, Signature(required, type_hints(target), takes_any))


def _argument_errors(path: str, node: dict[str, Any], takes: Signature) -> Iterator[ConfigError]:
    """Compare the keys of a node with the arguments of its target."""
    for key, value in node.items():
        if key in RESERVED or key in BUILDER_KEYS.get(path, ()):
            continue
        full = f"{path}.{key}"
        if key not in takes.required:
            if takes.takes_any:
                continue
            short = str(node["_target_"]).rpartition(".")[2]
            hint = did_you_mean(str(key), takes.required) or f"; arguments: {', '.join(takes.required)}"
            yield ConfigError(f"unknown key {full}: {short} has no argument '{key}'{hint}")
        elif value != "???" and key in takes.hints and not fits(value, takes.hints[key]):
            near = did_you_mean(str(value), choices(takes.hints[key]))
            yield ConfigError(f"{full}: expected {in_words(takes.hints[key])}, got {value!r}{near}")
    if not node.get("_partial_") and not node.get("_args_"):
        missing = [name for name, required in takes.required.items() if required and name not in node]
        if missing:
            yield ConfigError(f"{path}: missing {', '.join(missing)}; add {path}.{missing[0]}=…")
