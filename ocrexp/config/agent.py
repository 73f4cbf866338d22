"""Arguments of `wandb agent`, which writes values as Python does: `None`, `{'a': 1}`, texts without quotes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ocrexp.command_line import quote
from ocrexp.config.quoting import reads_as_one

PARAMETERS = "WANDB_SWEEP_PARAM_PATH"  # the file in which the agent keeps the values of the run that it starts


def as_hydra_reads(arguments: Sequence[str]) -> list[str]:
    """The arguments with the agent's values written so that Hydra reads the same values; others as they are."""
    values = _parameters()
    return [_override(argument, values) for argument in arguments] if values else list(arguments)


def _override(argument: str, values: Mapping[str, Any]) -> str:
    key, equals, text = argument.partition("=")
    name = key.lstrip("-+")
    if not equals or name not in values or text != str(values[name]):
        return argument
    value = values[name]
    if isinstance(value, str) and reads_as_one(f"{name}={text}"):
        return argument  # an option of a group, a number with an exponent, a list that was typed as a text
    return f"{key}={_text(value)}"


def _text(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return str(value)


def _parameters() -> dict[str, Any]:
    """The agent's values by key; {} without an agent."""
    path = os.environ.get(PARAMETERS)
    if not path or not os.environ.get("WANDB_SWEEP_ID"):
        return {}
    from ocrexp.yaml_text import read_yaml  # `doctor` runs without YAML

    try:
        content = read_yaml(Path(path).read_bytes())
    except (OSError, ValueError):  # the values are in the arguments too
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(key): entry["value"] for key, entry in content.items() if isinstance(entry, dict) and "value" in entry}
