"""Parts that have moved since earlier versions; earlier runs and configurations still have the old names."""

from __future__ import annotations

import copy
import logging
from typing import Any

from omegaconf import DictConfig, ListConfig, flag_override

log = logging.getLogger(__name__)

# Old modules or single names, and the new ones.
MOVED = {
    "ocrexp.data.charset": "ocrexp.charset.sources",
    "ocrexp.config.hooks": "ocrexp.runs.hooks",
    "ocrexp.models.necks.sequence.LightSVTREncoder": "ocrexp.models.necks.svtr.LightSVTREncoder",
    "ocrexp.models.necks.sequence.SVTREncoder": "ocrexp.models.necks.svtr.SVTREncoder",
}
_told: set[str] = set()


def current(target: str) -> str:
    """The present name of a `_target_`."""
    for old, new in MOVED.items():
        if target == old or target.startswith(f"{old}."):
            return new + target.removeprefix(old)
    return target


def tell(target: str, path: str) -> None:
    """Log one line, once, for a `_target_` (at a config key) that has a new name."""
    if (name := current(target)) != target and target not in _told:
        _told.add(target)
        log.warning("%s._target_: %s is now %s", path, target, name)


def with_current_names(node: Any) -> Any:
    """The node with the present name of every `_target_`; the same object if none has moved."""
    if not isinstance(node, DictConfig) or not any(True for _ in _old_targets(node)):
        return node
    changed = copy.deepcopy(node)
    for holder in list(_old_targets(changed)):
        with flag_override(holder, ["readonly", "struct"], False):
            holder["_target_"] = current(str(holder["_target_"]))
    return changed


def _old_targets(node: Any) -> Any:
    """The nodes at or below this one that have an old name."""
    if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
        if "_target_" in node and current(str(node["_target_"])) != str(node["_target_"]):
            yield node
        for key in node:
            yield from _old_targets(node._get_node(key))
    elif isinstance(node, ListConfig) and not node._is_none() and not node._is_missing():
        for position in range(len(node)):
            yield from _old_targets(node._get_node(position))
