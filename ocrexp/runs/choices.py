"""Values that are chosen for a run: written into its configuration, reported, recorded and applied again."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp import files
from ocrexp.command_line import key_of
from ocrexp.config.changes import is_there
from ocrexp.config.paths import groups

log = logging.getLogger(__name__)

ADAPTED = Path(".hydra") / "adapted.json"
_LONGEST_SHOWN = 120
_DECIDED = ("charset",)  # groups whose option decides all of their keys


@dataclass(frozen=True)
class Choice:
    """A value that was chosen; `before` is that of the composed configuration."""

    key: str
    value: Any
    reason: str
    before: Any


class RunChoices:
    """Writes into a configuration what is proposed for it, unless the user has set the key.

    Args:
        config: composed, with its trainer.devices settled.
        overrides: of the command line.
        keep: further keys that are not changed.
    """

    def __init__(self, config: DictConfig, overrides: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        self.made: list[Choice] = []
        self._config = config
        self._given = [key for item in overrides if (key := key_of(item)) not in groups() or key in _DECIDED]
        self._keep = list(keep)

    def value(self, key: str) -> Any:
        """The value of a dotted key, None where there is no such key."""
        found = OmegaConf.select(self._config, key)
        return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found

    def choose(self, key: str, value: Any, reason: str) -> Any:
        """Set and report a value; a key of the command line or of `adapt.keep` keeps its own, which is reported."""
        if not is_there(self._config, key):
            return None
        before = self.value(key)
        for keys, where in ((self._given, "it is set on the command line"), (self._keep, "adapt.keep has it")):
            if any(_covers(own, key) for own in keys):
                log.info("adapt: %s=%s is kept, because %s", key, _shown(before), where)
                return before
        OmegaConf.update(self._config, key, value, merge=False)
        self.made.append(Choice(key, value, reason, before))
        log.info("adapt: %s=%s (%s)", key, _shown(value), reason)
        return value


def record(run_dir: Path, choices: Sequence[Choice]) -> None:
    """Write what was chosen into the run folder. Raises OSError."""
    (run_dir / ADAPTED).parent.mkdir(exist_ok=True)
    files.write_json(run_dir / ADAPTED, {"choices": [asdict(choice) for choice in choices]})


def as_adapted(run_dir: Path, config: DictConfig) -> DictConfig:
    """A configuration with what was chosen for the run in a folder, where it had the values from before; the same one
    where nothing was chosen."""
    try:
        made = [Choice(**item) for item in json.loads(files.read_file(run_dir / ADAPTED, files.MOST_TEXT))["choices"]]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return config
    if not all(_is_plain(choice) for choice in made):  # someone else's file: it must not name classes
        return config
    config = config.copy()
    for choice in made:
        now = OmegaConf.select(config, choice.key)
        if is_there(config, choice.key) and now == choice.before:
            OmegaConf.update(config, choice.key, choice.value, merge=False)
    return config


def _is_plain(choice: Choice) -> bool:
    """Whether a recorded choice is a plain value of a key that names nothing to build."""
    if not isinstance(choice.key, str) or any(not part or part.startswith("_") for part in choice.key.split(".")):
        return False
    values = [choice.value]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values += value
        elif not (value is None or isinstance(value, bool | int | float | str)) or "${" in str(value):
            return False
    return True


def _covers(own: str, key: str) -> bool:
    """Whether a given key sets another one: it is the same, a node around it, or a part of it."""
    return own == key or key.startswith(f"{own}.") or own.startswith(f"{key}.")


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
