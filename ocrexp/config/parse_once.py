"""Composing faster: Hydra parses each file of `conf/` again in each composition, and a sweep composes each job twice.

The files are some thirty, and parsing them is half of a composition. A file that has changed is parsed again. Copies of
what was parsed, and of what is composed of it, are most of the rest.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf.base import Metadata

_Parse = Callable[[Any, str], ConfigResult]
_changed: list[type] = []  # sources that keep what they have parsed


def parse_files_once() -> None:
    """Keep what Hydra has parsed, in this process; to be called when Hydra's sources are registered."""
    source = SourcesRegistry.instance().resolve("file")
    if source in _changed:
        return
    parse: _Parse = source.load_config
    parsed: dict[tuple[str, str, int, int], ConfigResult] = {}

    def load(self: Any, config_path: str) -> ConfigResult:
        path = os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path)))  # noqa: PTH118
        try:
            state = os.stat(path)  # noqa: PTH116
        except OSError:
            return parse(self, config_path)  # which reports it
        key = (path, self.provider, state.st_mtime_ns, state.st_size)
        if key not in parsed:
            parsed[key] = parse(self, config_path)
        return deepcopy(parsed[key])

    source.load_config = load
    if not _changed:
        _skip_unused_choices()
        _copy_metadata_by_fields()
    _changed.append(source)


def _skip_unused_choices() -> None:
    """For each file Hydra makes a configuration of all choices, for defaults that are interpolations; few have one."""
    choices_of = defaults_list._create_interpolation_map

    def choices(overrides: Any, defaults: Any, self_added: bool) -> Any:
        asked = any(not default.is_self() and default.is_interpolation() for default in defaults)
        return choices_of(overrides, defaults, self_added) if asked else None

    defaults_list._create_interpolation_map = choices


def _copy_metadata_by_fields() -> None:
    """Each node of OmegaConf has metadata, whose values are constants but two; `deepcopy` takes them all apart."""

    def copied(self: Metadata, memo: dict[int, Any]) -> Metadata:
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.flags = self.flags and dict(self.flags)
        new.resolver_cache = deepcopy(self.resolver_cache, memo) if self.resolver_cache else defaultdict(dict)
        return new

    Metadata.__deepcopy__ = copied  # type: ignore[attr-defined]
