"""Keeps model and data to one task: the data set's task chooses the default model, and mixing tasks is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ocrexp.command_line import key_of
from ocrexp.config.arguments import split_flags
from ocrexp.config.paths import ROLES, shipped_conf, user_conf
from ocrexp.errors import ConfigError
from ocrexp.files import read_text
from ocrexp.yaml_text import read_yaml

MODELS = {"det": "db_mbv3", "rec": "crnn_mbv3", "cls": "cls_mbv3"}  # a task's default model
LISTS = {"det": "det_list", "rec": "rec_list", "cls": "cls_list"}
# Data sets of what `convert` and `synth` write, by format and task.
DATASETS = {
    "paddleocr": LISTS,
    "lmdb": {"rec": "rec_lmdb"},
    "shards": {"det": "det_shards", "rec": "rec_shards"},
}
_NAMES = {"det": "detection", "rec": "recognition", "cls": "classification"}
_CHOOSE_A_MODEL = ("model", "experiment", "task")


def with_default_model(arguments: Sequence[str]) -> list[str]:
    """The arguments; if they choose no model, with the default model for the task of `dataset=…` after the flags.

    So `dataset=rec_list` alone trains a recognizer. The task of the default configuration needs no addition.
    """
    flags, overrides = split_flags(arguments)
    keys = {key_of(item): item for item in overrides if "=" in item}
    own = user_conf()
    if "dataset" not in keys or any(key in keys for key in _CHOOSE_A_MODEL) or (own and (own / "train.yaml").is_file()):
        return list(arguments)
    options = keys["dataset"].partition("=")[2].strip("'\"").split(",")
    found = {task_of_option(option.strip()) for option in options}
    if len(found) != 1 or (task := found.pop()) not in MODELS or task == "det":
        return list(arguments)
    return [*flags, f"model={MODELS[task]}", *overrides]


def training_on(root: object, written: str, task: str, parts: Collection[str]) -> dict[str, object]:
    """The overrides that train on what `convert` or `synth` has written.

    Args:
        root: the folder.
        written: the format, one of DATASETS.
        task: of the data.
        parts: the parts that were written. Without `val`, a tenth of what is trained on is used for validation; without
            `train`, the only other part is trained on.
    """
    labels, val = ("train_labels", "val_labels") if written == "paddleocr" else ("train", "val")
    train = "train" if "train" in parts else next((part for part in parts if part != "val"), "val")
    has_val = "val" in parts and train != "val"
    words: dict[str, object] = {"model": MODELS[task], "dataset": DATASETS[written][task], "dataset.root": root}
    if written == "lmdb":
        words |= {"dataset.train": train, "dataset.val": "val"}
    elif train != "train":
        words[f"dataset.{labels}"] = f"{train}_list.txt" if written == "paddleocr" else f"{train}-*.tar"
    if not has_val:
        words |= {f"dataset.{val}": None, "dataset.val_split": 0.1}
    return words


def with_callbacks(arguments: Sequence[str]) -> list[str]:
    """The arguments with `callbacks=…`, after the flags, for a disabled callback whose keys they set.

    So `callbacks.early_stopping.patience=5` alone enables early stopping. Nothing is added if the arguments, an
    experiment or the user's own `train.yaml` choose the callbacks.
    """
    from ocrexp.config.nodes import options_with

    flags, overrides = split_flags(arguments)
    keys = [key_of(item) for item in overrides]
    own = user_conf()
    if any(key in ("callbacks", "experiment", "debug") for key in keys) or (own and (own / "train.yaml").is_file()):
        return list(arguments)
    for item, key in zip(overrides, keys, strict=True):
        group, _, rest = key.partition(".")
        name, dot, _ = rest.partition(".")
        if group != "callbacks" or not dot or item[:1] in "+~":
            continue
        options = options_with("callbacks", name)
        if options and "default" not in options:
            return [*flags, f"callbacks={options[0]}", *overrides]
    return list(arguments)


def task_of_option(option: str) -> str | None:
    """The task of an option of the group `dataset`; None if its class states none, or if it does not exist."""
    for folder in (user_conf(), shipped_conf()):
        path = folder / "dataset" / f"{option}.yaml" if folder else None
        if path is None or not path.is_file():
            continue
        try:
            loaded = read_yaml(read_text(path).encode())
        except (OSError, ValueError):  # composing reports what is wrong with it
            return None
        target = loaded.get("_target_") if isinstance(loaded, dict) else None
        # A user's own module may import paddle, for which this process is not prepared yet, so it is not imported.
        return task_of_source(loaded) if str(target).startswith("ocrexp.data.") else None
    return None


def task_of_source(node: Mapping[Any, Any]) -> str | None:
    """The task of a dataset node by its class; None if the class states none."""
    from ocrexp.config.signature import read_constant

    plain, task = read_constant(str(node.get("_target_")), "task", "OfTask")
    if plain:
        return None if task is None else str(task)
    from ocrexp.config.locate import locate
    from ocrexp.data.source import OfTask

    try:
        found = locate(str(node.get("_target_")), "dataset")
    except (ConfigError, ImportError):  # the check of all targets reports it
        return None
    return found.task if isinstance(found, type) and issubclass(found, OfTask) else None


def check_task(config: Mapping[Any, Any]) -> None:
    """Raises ConfigError if the data set has another task than the model."""
    task, dataset = config.get("task"), config.get("dataset")
    _check_roles(config, str(task))
    if not isinstance(dataset, dict) or task not in MODELS:
        return
    of_data = task_of_source(dataset)
    if of_data is None or of_data == task or of_data not in MODELS:
        return
    model = config.get("model")
    named = model.get("name") if isinstance(model, dict) else None
    name = str(dataset["_target_"]).rpartition(".")[2]
    raise ConfigError(
        f"dataset: {name} is for {_NAMES[of_data]}, but the model ({named or task}) is for {_NAMES[task]}; use "
        f"dataset={LISTS[task]} (or another for {_NAMES[task]}), or model={MODELS[of_data]}"
    )


def _check_roles(config: Mapping[Any, Any], task: str) -> None:
    """Raises ConfigError if a network of a model of several is for another task than the student, or if the loss is
    that of one network."""
    model, loss = config.get("model"), config.get("loss")
    if not isinstance(model, dict) or "student" not in model:
        return
    if isinstance(loss, dict) and "own" not in loss:
        name = str(loss.get("_target_")).rpartition(".")[2]
        raise ConfigError(
            f"loss: {name} compares no networks, but the model has several; remove loss=…, and choose the loss that "
            "the student has alone with loss@loss.own=NAME"
        )
    for role in ROLES:
        node = model.get(role)
        found = str(node.get("of_task", task)).partition("_")[0] if isinstance(node, dict) else task
        if isinstance(node, dict) and found != task and found in MODELS:
            raise ConfigError(
                f"model.{role}: {node.get('name')} is for {_NAMES[found]}, but the student is for "
                f"{_NAMES.get(task, task)}; choose a model of the same task with model/{role}=NAME"
            )
