"""Parts that have another place than in earlier versions: runs and configurations of then still name the old one."""

from __future__ import annotations

import copy
import logging
from typing import Any

from omegaconf import DictConfig, ListConfig, flag_override

log = logging.getLogger(__name__)

# Old places, modules or single names, and the new ones.
MOVED = {
    "ocrexp.data.charset": "ocrexp.charset.sources",
    "ocrexp.config.hooks": "ocrexp.runs.hooks",
}
_told: set[str] = set()


def current(target: str) -> str:
    """The name of a `_target_` today."""
    for old, new in MOVED.items():
        if target == old or target.startswith(f"{old}."):
            return new + target.removeprefix(old)
    return target


def tell(target: str, path: str) -> None:
    """One line, once, for a `_target_` (at a config key) that has another name today."""
    if (name := current(target)) != target and target not in _told:
        _told.add(target)
        log.warning("%s._target_: %s is now %s", path, target, name)


def with_current_names(node: Any) -> Any:
    """The node with every `_target_` in it under its name of today; the same object where none has moved."""
    if not isinstance(node, DictConfig) or not any(True for _ in _old_targets(node)):
        return node
    changed = copy.deepcopy(node)
    for holder in list(_old_targets(changed)):
        with flag_override(holder, ["readonly", "struct"], False):
            holder["_target_"] = current(str(holder["_target_"]))
    return changed


def _old_targets(node: Any) -> Any:
    """The nodes below (or at) one that name an old place."""
    if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
        if "_target_" in node and current(str(node["_target_"])) != str(node["_target_"]):
            yield node
        for key in node:
            yield from _old_targets(node._get_node(key))
    elif isinstance(node, ListConfig) and not node._is_none() and not node._is_missing():
        for position in range(len(node)):
            yield from _old_targets(node._get_node(position))
