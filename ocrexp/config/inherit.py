"""`model.pretrained=RUN_FOLDER`: uses the run's architecture and characters with its weights.

The run's model, and the nodes that belong to it, become options of the config groups, and the command line chooses
them. So `--cfg job`, the jobs of a sweep and the frozen configuration contain them, and single values can be set.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.command_line import key_of, typed
from ocrexp.config.arguments import split_flags
from ocrexp.config.frozen import FROZEN, RESOLVED, read_frozen, read_resolved
from ocrexp.config.moved import with_current_names
from ocrexp.config.quoting import split_list
from ocrexp.errors import CheckpointError, ConfigError

KEY = "model.pretrained"
TEACHER = "model.teacher.pretrained"
# Keys of the node `model` about initial weights and freezing, which belong to the new run.
_OWN: dict[str, Any] = {
    "pretrained": None,
    "pretrained_min_coverage": 0.5,
    "pretrained_charset": None,
    "pretrained_prefix": None,
    "pretrained_rgb": False,
    "freeze": [],
    "unfreeze_after_steps": None,
    "quantize_aware": False,
}
# Groups that have to fit the model: their options are taken from the run, unless the command line chooses others.
_FITTING = ("loss", "targets", "postprocess", "preprocess")
_CHOOSE = ("model", "experiment", "task")
_WEIGHTS = ("checkpoints/best_accuracy.pdparams", "checkpoints/latest.pdparams")


def with_model_of_run(arguments: Sequence[str]) -> list[str]:
    """The arguments with an added `model=…`, after the flags, for the run folder in `model.pretrained`.

    If it is a file or null, the arguments are not changed. Single values (`model.head.k=40`) change the run's model;
    `model=…` may repeat it, and so may an experiment, which keeps its own characters. Raises ConfigError if the
    arguments choose another model, or if the folder's configuration cannot be used.
    """
    flags, overrides = split_flags(arguments)
    sweep = "--multirun" in flags
    given = [item for item in overrides if key_of(item) == KEY and "=" in item]
    folders = _folders(given[-1], sweep) if given else []
    if not folders:
        return list(arguments)
    parts = {folder: _parts(read_resolved(folder).model) for folder in folders}
    first, *others = folders
    for other in others:
        if found := _difference(parts[first], parts[other]):
            raise ConfigError(f"{KEY}: {first} and {other} have different models ({found}); use one of them in a sweep")
    if chosen := [item for item in overrides if key_of(item) in _CHOOSE or key_of(item).startswith("model/")]:
        student = _same_model(overrides, chosen, first, parts[first], sweep)
        if student or any(not key_of(item).startswith("model") for item in chosen):
            # An experiment has its own characters, targets and more, a distillation its own networks.
            return [*arguments, *_widths_of_run(first, student)]
        overrides = [item for item in overrides if item not in chosen]
    return [*flags, f"model={_store(first)}", *overrides]


def with_teacher_of_run(arguments: Sequence[str]) -> list[str]:
    """The arguments with an added `model/teacher=…` for a run folder in `model.teacher.pretrained`, whose architecture
    the teacher has then; not changed where they choose the teacher, or if it is not a run folder."""
    from hydra.core.config_store import ConfigStore

    flags, overrides = split_flags(arguments)
    given = [item for item in overrides if key_of(item) == TEACHER and "=" in item]
    folders = _folders(given[-1], "--multirun" in flags) if given else []
    chosen = any(key_of(item).startswith(("model/teacher", "experiment")) for item in overrides)
    if len(folders) != 1 or chosen:
        return list(arguments)
    resolved = read_resolved(folders[0])
    plain: Any = OmegaConf.to_container(resolved.model, resolve=True)
    node = {**plain, **{key: value for key, value in _OWN.items() if key in plain}, "of_task": str(resolved.task)}
    digest = hashlib.sha256(json.dumps(node, sort_keys=True, default=str).encode()).hexdigest()
    name = f"of_run_{digest[:10]}"
    ConfigStore.instance().store(group="model/teacher", name=name, node=node)
    return [*flags, f"model/teacher={name}", *overrides]


def _folders(override: str, sweep: bool) -> list[Path]:
    """The run folders in `model.pretrained=…`; none if one of the values is not a run folder."""
    value = override.partition("=")[2]
    texts = [item.strip().strip("'\"") for item in (split_list(value) if sweep else [value])]
    folders = [Path(text).expanduser() for text in texts if text and text != "null"]
    whole = all((folder / FROZEN).is_file() and (folder / RESOLVED).is_file() for folder in folders)
    return folders if whole else []


def _same_model(
    overrides: Sequence[str], chosen: Sequence[str], folder: Path, theirs: dict[str, Any], sweep: bool
) -> bool:
    """Whether the overrides choose a distillation, whose student is the run's model. Raises ConfigError if they choose
    another model than the run's."""
    from ocrexp.config.compose import compose

    student = False
    if sweep and any(len(split_list(item.partition("=")[2])) > 1 for item in chosen):
        found = "a sweep over models"
    else:
        swept = [item for item in overrides if sweep and len(split_list(item.partition("=")[2])) > 1]
        config = compose("train", [item for item in overrides if item not in swept])
        student = OmegaConf.select(config, "model.student") is not None
        found = _difference(theirs, _parts(config.model.student if student else config.model))
    if found:
        weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), folder / _WEIGHTS[0])
        raise ConfigError(
            f"{typed('train', KEY, folder)}: the run's model differs from {chosen[0]} ({found}); remove {chosen[0]} to "
            f"use the run's model, or load the weights that fit another model with {typed('train', KEY, weights)}"
        )
    return student


def _widths_of_run(folder: Path, student: bool) -> list[str]:
    """The override that gives the model of an experiment, or the student of a distillation, the channels of a pruned
    run; none if it is not pruned."""
    from hydra.core.config_store import ConfigStore

    widths = OmegaConf.to_container(read_resolved(folder).model, resolve=True).get("widths")  # type: ignore[union-attr]
    if not widths:
        return []
    package = "model.student" if student else "model"
    digest = hashlib.sha256(json.dumps([package, widths], sort_keys=True).encode()).hexdigest()
    name = f"widths_{digest[:10]}"
    ConfigStore.instance().store(group="of_run", name=name, node={"widths": widths}, package=package)
    return [f"+of_run={name}"]


def _parts(model: DictConfig) -> dict[str, Any]:
    """The parts of a model (backbone, neck, head, …) as plain values."""
    node = OmegaConf.to_container(with_current_names(model), resolve=True)
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items() if isinstance(value, dict) and "_target_" in value}


def _difference(theirs: Any, ours: Any, path: str = "model") -> str:
    """The first difference, as in `model.backbone.scale: 0.35 in the run, 0.5 here`; empty if there is none."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            if found := _difference(theirs.get(key), ours.get(key), f"{path}.{key}"):
                return found
        return ""
    if theirs == ours:
        return ""
    return f"{path}: {_shown(theirs)} in the run, {_shown(ours)} here"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("_target_", "a node")).rpartition(".")[2]
    if isinstance(value, str):
        return value.rpartition(".")[2]
    return json.dumps(value, ensure_ascii=False)[:60]


def _store(folder: Path) -> str:
    """Register the run's model, and the nodes that have to fit it, as options; returns their name."""
    from hydra.core.config_store import ConfigStore

    frozen, resolved = read_frozen(folder), read_resolved(folder)
    own = {key: value for key, value in _OWN.items() if key in resolved.model}
    model = {**OmegaConf.to_container(resolved.model, resolve=True), **own}  # type: ignore[dict-item]
    nodes = {group: node for group in _FITTING if (node := _alive(group, frozen, resolved)) is not None}
    if (charset := _charset(folder, resolved)) is not None:
        nodes["charset"] = charset
    digest = hashlib.sha256(json.dumps([model, nodes], sort_keys=True, default=str).encode()).hexdigest()
    name = f"of_run_{digest[:10]}"
    store = ConfigStore.instance()
    for group, node in nodes.items():
        store.store(group=group, name=name, node=node, package=group)
    defaults: list[Any] = [
        {"/task@_global_": str(resolved.task)},
        "_self_",
        *({f"override /{group}@_global_.{group}": name} for group in nodes),
    ]
    store.store(group="model", name=name, node={"defaults": defaults, **model})
    return name


def _alive(group: str, frozen: DictConfig, resolved: DictConfig) -> dict[str, Any] | None:
    """A node of the run; interpolations to keys that every run has are kept."""
    from ocrexp.config.nodes import known_nodes

    node = OmegaConf.select(resolved, group)
    if not isinstance(node, DictConfig):
        return None
    alive, plain = (OmegaConf.to_container(config[group], resolve=False) for config in (frozen, resolved))
    read = set(re.findall(r"\$\{\s*(\w+)", json.dumps(alive)))
    return dict(alive if isinstance(alive, dict) and read <= {*known_nodes(), "first"} else plain)  # type: ignore[arg-type]


def _charset(folder: Path, config: DictConfig) -> dict[str, Any] | None:
    """The node of the run's characters; taken from its checkpoint if their source cannot be read again."""
    node = OmegaConf.select(config, "charset")
    if not isinstance(node, DictConfig):
        return None
    plain = dict(OmegaConf.to_container(node, resolve=True))  # type: ignore[arg-type]
    from_labels = bool(plain.get("_partial_"))
    gone = "path" in plain and not Path(str(plain["path"])).expanduser().is_file()
    saved = _saved_characters(folder) if from_labels or gone else None
    if saved is None:
        return plain
    kept = {key: plain[key] for key in ("unknown", "unknown_map", "lower") if key in plain}
    kept |= {key: saved[key] for key in ("normalize", "invisible") if key in saved}
    return {
        "_target_": "ocrexp.charset.sources.from_classes",
        "characters": list(saved["characters"]),
        "direction": str(saved.get("direction", "ltr")),
        **kept,
    }


def _saved_characters(folder: Path) -> dict[str, Any] | None:
    """The characters in the states beside the run's weights; None if they contain none."""
    from ocrexp.engine.sealed import read_states

    for name in _WEIGHTS:
        states = (folder / name).with_suffix(".pdstates")
        if states.is_file():
            try:
                saved = read_states(states).get("extras", {}).get("charset")
            except CheckpointError:  # the weights beside it are refused later, with the reason
                continue
            return saved if isinstance(saved, dict) and "characters" in saved else None
    return None
