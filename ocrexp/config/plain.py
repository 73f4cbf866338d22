"""A configuration as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.errors import ConfigError
from ocrexp.located import located, remember

if TYPE_CHECKING:
    from ocrexp.engine.settings import TrainerSettings


def container(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain nested dicts and lists."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, Mapping)
    return {str(key): value for key, value in plain.items() if key != "hydra"}


def label_digest(config: DictConfig) -> str:
    """SHA-256 of all settings that change what is learned from a label: characters, handling of unknown characters,
    targets, and options of the data set (except its path; its lists have their own fingerprints)."""
    nodes = {name: container(config).get(name) for name in ("task", "charset", "targets", "dataset")}
    if isinstance(nodes["dataset"], dict):
        nodes["dataset"] = {
            key: nodes["dataset"][key] for key in nodes["dataset"].keys() - {"root", "cache_dir", "val_sets"}
        }
    return hashlib.sha256(json.dumps(nodes, sort_keys=True, default=str).encode()).hexdigest()


def trainer_settings(config: DictConfig) -> TrainerSettings:
    """The node `trainer` as its dataclass; raises ConfigError for invalid values."""
    from ocrexp.engine.settings import TrainerSettings

    values: Any = OmegaConf.to_container(config.trainer, resolve=True)
    with located("trainer", TrainerSettings, ConfigError):
        settings = TrainerSettings(**values)
    remember(settings, "trainer")
    return settings
