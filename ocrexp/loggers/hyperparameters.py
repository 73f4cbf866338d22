"""A run's configuration as flat hyperparameters, for viewers that compare runs by single values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Value = bool | int | float | str

# Places, texts and destinations, which say nothing about the result of a training.
OMITTED = ("run_dir", "name", "logger", "callbacks", "fingerprint", "environment", "hydra")


def hyperparameters(config: Mapping[str, Any]) -> dict[str, Value]:
    """`{"optim.lr": 0.001, "model.backbone.scale": 0.5, …}` from nested plain dicts.

    Lists and None become JSON texts, because no viewer takes them; the nodes in OMITTED are skipped.
    """
    flat: dict[str, Value] = {}
    for name, value in config.items():
        if name not in OMITTED:
            _add(flat, str(name), value)
    return flat


def _add(flat: dict[str, Value], name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _add(flat, f"{name}.{key}", inner)
    elif isinstance(value, bool | int | float | str):
        flat[name] = value
    else:
        flat[name] = json.dumps(value, ensure_ascii=False, default=str)
