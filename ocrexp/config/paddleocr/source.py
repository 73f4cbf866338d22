"""Reads a PaddleOCR 2.x training file so that no key can be overlooked.

`Section` remembers which keys were read; keys that were not read are listed at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ocrexp import yaml_text
from ocrexp.errors import ConfigError
from ocrexp.files import read_text
from ocrexp.nearest import did_you_mean

# Numbers that YAML 1.1 reads as texts: 1e-4, 8.e-8.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


class Section:
    """A mapping of the file; `get` and `section` mark a key as read."""

    def __init__(self, path: str, values: Any) -> None:
        if values is not None and not isinstance(values, Mapping):
            raise ConfigError(f"{path}: expected a section with keys, got {values!r}")
        self.path = path
        self._values: dict[str, Any] = {str(key): value for key, value in (values or {}).items()}
        self._read: set[str] = set()
        self._asked: set[str] = set()
        self._children: dict[str, Section] = {}

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._values

    def key(self, name: str) -> str:
        """The full key, for messages."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a key, marked as read; `default` if the file does not have it."""
        self._asked.add(name)
        if name not in self._values:
            return default
        self._read.add(name)
        return _plain(self._values[name])

    def text(self, name: str, default: str = "") -> str:
        """The value of a key as a text without spaces around it; `default` if it is missing or empty."""
        value = self.get(name)
        return default if value is None else str(value).strip()

    def number(self, name: str, default: float | None = None) -> Any:
        """The value of a key that must be a number."""
        value = self.get(name, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ConfigError(f"{self.key(name)}: expected a number, got {value!r}")
        return value

    def section(self, name: str) -> Section:
        """A mapping below this one; empty if the file does not have it."""
        self._asked.add(name)
        self._read.add(name)
        if name not in self._children:
            self._children[name] = Section(self.key(name), self._values.get(name))
        return self._children[name]

    def entries(self, name: str) -> list[tuple[str, Section]]:
        """A list of parts, each `{Name: {...}}` or `Name`, as (name, its keys)."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ConfigError(f"{self.key(name)}: expected a list, got {value!r}")
        found = []
        for position, entry in enumerate(value):
            entry = {entry: None} if isinstance(entry, str) else entry
            if not isinstance(entry, Mapping) or len(entry) != 1:
                raise ConfigError(f"{self.key(name)}[{position}]: expected one part with its keys, got {entry!r}")
            ((part, keys),) = entry.items()
            own = f"{name}[{position}].{part}"
            if own not in self._children:
                self._children[own] = Section(self.key(own), keys)
            found.append((str(part), self._children[own]))
        return found

    def with_sections(self, sections: Mapping[str, Section]) -> Section:
        """The same section with other sections below it."""
        other = Section(self.path, {**self._values, **dict.fromkeys(sections)})
        other._children = dict(sections)
        other._read = set(sections)
        return other

    def names(self) -> list[str]:
        """The keys that the file has here."""
        return list(self._values)

    def was_read(self, name: str) -> bool:
        """Whether a key has been read."""
        return name in self._read

    def unread(self) -> Iterator[tuple[str, Any, str]]:
        """Every key that was not read, with its value and ", did you mean X?" if a known key is similar."""
        for name, value in self._values.items():
            if name not in self._read:
                known = self._asked - set(self._values)
                yield self.key(name), value, did_you_mean(name, known)
        for child in self._children.values():
            yield from child.unread()

    def count(self) -> int:
        """The number of keys, including those of deeper sections that were read."""
        entered = {name.partition("[")[0] for name in self._children}
        own = sum(name not in entered for name in self._values)
        return own + sum(max(child.count(), "[" in name) for name, child in self._children.items())


def _plain(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def read(path: Path, overrides: Sequence[str] = ()) -> tuple[Section, list[str]]:
    """The file with overrides (`Global.epoch_num=5`) applied, and its duplicate keys.

    Raises ConfigError for a file that is missing, not YAML, or not a training file of PaddleOCR 2.x.
    """
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise ConfigError(f"config={path}: file not found; correct the path") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        advice = "check its permissions" if isinstance(error, OSError) else "save the file as UTF-8"
        raise ConfigError(f"config={path}: cannot be read as UTF-8 text ({reason}); {advice}") from error
    doubled: list[str] = []
    try:
        values = yaml.load(text, _loader(doubled))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML ({problem}); correct the file") from error
    except yaml_text.ERRORS as error:
        raise ConfigError(f"{path}: {yaml_text.reason(error)}; correct or quote the value") from error
    try:
        yaml_text.check_yaml(text.encode())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; write the values out, without that alias or nesting") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a YAML file with sections; give a training file of PaddleOCR 2.x")
    for override in overrides:
        _override(values, override)
    _check_kind(path, values)
    return Section("", values), doubled


def _check_kind(path: Path, values: dict[str, Any]) -> None:
    architecture = values.get("Architecture")
    if not isinstance(architecture, dict):
        own = "; this is an ocrexp file" if "defaults" in values or "trainer" in values else ""
        raise ConfigError(f"{path}: not a PaddleOCR training file (missing section Architecture){own}")
    if "function" in architecture or "reader_yml" in (values.get("Global") or {}):
        raise ConfigError(
            f"{path}: a file of PaddleOCR 1.x (Architecture.function); use the file of the same name of release 2.x"
        )
    missing = [name for name in ("Global", "Optimizer", "Train") if not isinstance(values.get(name), dict)]
    if missing:
        raise ConfigError(f"{path}: not a PaddleOCR training file (missing section {', '.join(missing)})")


def _override(values: dict[str, Any], override: str) -> None:
    """PaddleOCR's `-o Section.key=value`; the value is read as YAML, and may contain '='."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"-o {override}: expected Section.key=value, such as -o Global.epoch_num=5")
    *sections, last = key.split(".")
    node: Any = values
    for name in sections:
        position = int(name) if isinstance(node, list) and name.isdigit() else name
        try:
            node = node[position]
        except (KeyError, IndexError, TypeError) as error:
            known = list(node) if isinstance(node, dict) else []
            raise ConfigError(f"-o {override}: the file has no {name}{did_you_mean(name, known)}") from error
    if not isinstance(node, dict):
        raise ConfigError(f"-o {override}: {'.'.join(sections)} is not a section")
    try:
        node[last] = yaml.safe_load(text)
    except yaml_text.ERRORS as error:
        raise ConfigError(f"-o {override}: the value is not valid YAML") from error


def _loader(doubled: list[str]) -> type[yaml.SafeLoader]:
    """A loader that records duplicate keys, of which YAML silently keeps the last one."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    doubled.append(f"{key.value} (line {key.start_mark.line + 1})")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader
