"""The model of several networks that `model=distill` and its kinds describe."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.config.build import keyed
from ocrexp.config.locate import locate
from ocrexp.config.paths import ROLES
from ocrexp.errors import CheckpointError, ConfigError, OcrexpError, SeveralConfigErrors

if TYPE_CHECKING:
    from ocrexp.charset.charset import Charset
    from ocrexp.models.distill import DistilledModel
    from ocrexp.models.model import OCRModel

# Keys of `model` that are the student's own; those of the node `model` win, which shows the student's unless it is set.
_OF_STUDENT = (
    "pretrained", "pretrained_mode", "pretrained_min_coverage", "pretrained_charset", "pretrained_prefix",
    "pretrained_rgb", "freeze", "unfreeze_after_steps",
)  # fmt: skip
BuildOne = Callable[[DictConfig], "OCRModel"]


def has_roles(config: DictConfig) -> bool:
    """Whether a configuration's model is made of several networks."""
    node = OmegaConf.select(config, "model.student")
    return isinstance(node, DictConfig)


def build_distilled(config: DictConfig, charset: Charset | None, build_one: BuildOne) -> DistilledModel:
    """The networks, each built as a model of its own, with their weights.

    Args:
        config: a checked configuration; a teacher whose `pretrained` is `RANDOM` keeps random weights.
        charset: the characters of recognizers; the teacher's classes are put into their order.
        build_one: makes the model of a configuration.

    Raises ConfigError where the networks do not fit each other, and what `build_one` raises, with the network's key.
    """
    networks = {role: _built(config, role, build_one) for role in ROLES if config.model.get(role) is not None}
    teacher = networks.get("teacher")
    unknown: list[int] = []
    if teacher is not None and config.model.teacher.pretrained != RANDOM:
        _check_taught(config, teacher)
        lacking = set(teacher.new_characters)
        characters = [] if charset is None else charset.characters
        unknown = [place for place, character in enumerate(characters) if character in lacking]
        if characters and len(unknown) == len(characters):
            raise ConfigError(
                f"model.teacher.pretrained={config.model.teacher.pretrained}: knows none of the {len(characters)} "
                "characters of the charset; choose a teacher for the same script"
            )
        _check_targets(config, unknown)
    node: Any = OmegaConf.to_container(config.model, resolve=True)
    # Not by `build`: Hydra copies what it is given, and a network's parameters with it.
    model: DistilledModel = keyed(
        "model",
        locate(str(node["_target_"]), "model"),
        **networks,
        features=node["features"],
        normalize=node["normalize"],
        image_shape=node.get("image_shape") or (160, 160),
        unknown=unknown,
    )
    return model


RANDOM = "random"  # weights of a teacher that is built for its shapes alone


def without_weights(config: DictConfig) -> DictConfig:
    """The configuration of a model whose checkpoint is loaded afterwards: no file of weights is needed.

    The teacher is part of no checkpoint; it is omitted unless it gives the projections their shapes.
    """
    config = config.copy()
    OmegaConf.set_struct(config, False)
    for role in ROLES:
        node = config.model.get(role)
        if role == "teacher" and node is not None:
            node.pretrained = RANDOM
            if not config.model.features:
                config.model.teacher = None
        elif node is not None:
            OmegaConf.update(config, f"model.{role}", {**_plain(node), **_NONE}, merge=False)
    return config


_NONE: dict[str, Any] = {"pretrained": None, "freeze": [], "unfreeze_after_steps": None}


def _plain(node: Any) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(node, resolve=False)
    return dict(found)


def of_role(config: DictConfig, role: str) -> DictConfig:
    """The configuration with one of the networks as its model."""
    if config.model.image_shape != config.model[role].get("image_shape"):
        raise ConfigError(
            f"model.{role}.image_shape: is {config.model[role].get('image_shape')}, but the student has "
            f"{config.model.image_shape}; set model.{role}.image_shape={config.model.image_shape} if the network takes "
            "it, or choose another model"
        )
    node = _plain(config.model[role])
    if role == "student":
        node |= {key: config.model[key] for key in _OF_STUDENT if key in config.model}
    one = config.copy()
    OmegaConf.set_struct(one, False)
    one.model = node
    return one


def _built(config: DictConfig, role: str, build_one: BuildOne) -> OCRModel:
    one = of_role(config, role)
    if role == "teacher":
        if one.model.pretrained is None:
            raise ConfigError(
                "model.teacher.pretrained: is null, but only a trained teacher can teach; give a run folder, a "
                ".pdparams file, a deployed model, or a name of: python -m ocrexp list pretrained"
            )
        if one.model.pretrained == RANDOM:
            one.model.pretrained = None
    try:
        return build_one(one)
    except SeveralConfigErrors:
        raise
    except OcrexpError as error:
        raise type(error)(
            re.sub(r"(?<![\w.])model\.(?!(?:student2?|teacher)\.)", f"model.{role}.", str(error))
        ) from error


def _check_taught(config: DictConfig, teacher: OCRModel) -> None:
    """Raises CheckpointError where the weights leave parts of the teacher random."""
    coverage, node = teacher.coverage, config.model.teacher
    assert coverage is not None
    lacking = [name for name, part in coverage.parts.items() if part.values and part.share < 0.5]
    if lacking:
        share = coverage.parts[lacking[0]].share
        raise CheckpointError(
            f"model.teacher.pretrained={node.pretrained}: contains {share:.0%} of the teacher's {lacking[0]}; "
            "choose the model that the file was made from with model/teacher=NAME, and for other characters its "
            "dictionary with model.teacher.pretrained_charset=DICTIONARY.txt"
        )


def _check_targets(config: DictConfig, unknown: list[int]) -> None:
    """A term whose target is a class of the label needs all classes."""
    for name, term in (OmegaConf.select(config, "loss.terms") or {}).items():
        if unknown and term is not None and term.get("target") == "label":
            raise ConfigError(
                f"loss.terms.{name}.target: label needs all classes, but the teacher does not know {len(unknown)} of "
                f"the characters; set loss.terms.{name}.target=teacher"
            )
