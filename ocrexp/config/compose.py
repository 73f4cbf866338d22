"""Composition: sets up Hydra with our search path and schemas, in the same way for every verb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ocrexp.config.paths import shipped_conf
from ocrexp.config.schema import register_schemas

if TYPE_CHECKING:
    from omegaconf import DictConfig


def setup_hydra() -> None:
    """Register schemas, and the user's `./conf` before the shipped one, with Hydra, which parses each file once."""
    from hydra.core.plugins import Plugins

    from ocrexp.config.parse_once import parse_files_once
    from ocrexp.config.renamed import RenamedOptions
    from ocrexp.config.roles import RoleOptions
    from ocrexp.config.search_path import OcrexpSearchPath
    from ocrexp.config.user_files import UserFiles

    register_schemas()
    register_resolvers()
    for plugin in (OcrexpSearchPath, UserFiles, RoleOptions, RenamedOptions):
        Plugins.instance().register(plugin)
    parse_files_once()


def register_resolvers() -> None:
    """Register `${first:a,b}`, the first value that is not null, and `${mapping:JSON}`, a mapping with any keys."""
    import json

    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("mapping", lambda text: OmegaConf.create(json.loads(text)), replace=True)
    OmegaConf.register_new_resolver(
        "first", lambda *values: next((v for v in values if v is not None), None), replace=True
    )


def compose(verb: str, overrides: Sequence[str], *, with_hydra: bool = False) -> DictConfig:
    """Compose `conf/<verb>.yaml` with overrides.

    Raises ConfigError, in one line, if the configuration does not compose.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from ocrexp.config.explain import as_config_error

    setup_hydra()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(shipped_conf()), version_base="1.3"):
            config = hydra_compose(verb, overrides=list(overrides), return_hydra_config=with_hydra)
            if verb != "train" and any(item.startswith("+") for item in overrides):
                _refuse_additions(config, hydra_compose(verb, overrides=[]))
            return config
    except Exception as error:
        explained = as_config_error(error, verb, overrides)
        if explained is None:
            raise
        raise explained from error


def _refuse_additions(config: DictConfig, known: DictConfig, path: str = "") -> None:
    """Refuse keys that `+` has added to a verb's own keys, because nothing reads them."""
    from omegaconf import DictConfig as Node

    from ocrexp.config.explain import unknown_key

    for key in config:
        if key == "hydra" or path == "dataset":
            continue
        full = f"{path}.{key!s}" if path else str(key)
        if key not in known:
            raise unknown_key(full, known)
        node, before = config._get_node(key), known._get_node(key)
        if isinstance(node, Node) and isinstance(before, Node) and "_target_" not in before:
            _refuse_additions(node, before, full)
