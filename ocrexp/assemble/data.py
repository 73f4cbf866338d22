"""Where the records of a run come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.config.build import build
from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    from ocrexp.types import DataSource

VAL_SETS = "val_sets"  # the key of the named validation sets, which are not arguments of a data set


def build_source(node: DictConfig) -> DataSource:
    """The data set of a node `dataset`."""
    own = node.copy()
    OmegaConf.set_struct(own, False)
    own.pop(VAL_SETS, None)
    own._set_parent(node._get_parent())  # its interpolations read the whole configuration
    source: DataSource = build(own)
    return source


def build_val_sets(node: DictConfig) -> dict[str, DataSource]:
    """The named validation sets of a node `dataset`: name → data set, whose validation records count.

    A value is a validation list or several (relative to the data set's root), or a mapping of the keys that differ from
    the data set's own, as `{root: /data/photos}`. Raises ConfigError for other values.
    """
    sets = node.get(VAL_SETS)
    if sets is None:
        return {}
    if not isinstance(sets, DictConfig):
        raise ConfigError(f"dataset.{VAL_SETS}: expected {{NAME: LIST or {{KEY: VALUE}}}}, got {sets!r}")
    return {str(name): _val_set(node, str(name), value) for name, value in sets.items() if value is not None}


def _val_set(node: DictConfig, name: str, value: Any) -> DataSource:
    from ocrexp.engine.validation import MAIN  # it imports paddle

    if name == MAIN or not name.isidentifier():
        raise ConfigError(
            f"dataset.{VAL_SETS}.{name}: expected a name of letters, digits and _, other than {MAIN}; got {name!r}"
        )
    plain: Any = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    if not isinstance(plain, Mapping):
        key = "val" if "val" in node else "val_labels"
        plain = {key: plain}
    own = node.copy()
    OmegaConf.set_struct(own, False)
    own._set_parent(node._get_parent())
    if "val_split" in own:
        own.val_split = None  # the sets are lists of their own
    for key, setting in plain.items():
        own[key] = setting
    return build_source(own)
