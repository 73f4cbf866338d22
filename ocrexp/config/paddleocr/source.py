"""A PaddleOCR 2.x training file, read so that nothing in it can be overlooked.

`Section` remembers which keys were asked for; what nobody asked for is listed at the end.
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

# Numbers that YAML 1.1 takes for texts: 1e-4, 8.e-8.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


class Section:
    """A mapping of the file; `get` and `section` mark a key as read."""

    def __init__(self, path: str, values: Any) -> None:
        if values is not None and not isinstance(values, Mapping):
            raise ConfigError(f"{path}: {values!r} is no section with keys of its own")
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
        """The value of a key, marked as read; `default` where the file does not have it."""
        self._asked.add(name)
        if name not in self._values:
            return default
        self._read.add(name)
        return _plain(self._values[name])

    def text(self, name: str, default: str = "") -> str:
        """The value of a key as a text without blanks around it; `default` where it is missing or empty."""
        value = self.get(name)
        return default if value is None else str(value).strip()

    def number(self, name: str, default: float | None = None) -> Any:
        """The value of a key that must be a number."""
        value = self.get(name, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ConfigError(f"{self.key(name)}: {value!r} is no number")
        return value

    def section(self, name: str) -> Section:
        """A mapping below this one; empty where the file does not have it."""
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
            raise ConfigError(f"{self.key(name)}: {value!r} is no list")
        found = []
        for position, entry in enumerate(value):
            entry = {entry: None} if isinstance(entry, str) else entry
            if not isinstance(entry, Mapping) or len(entry) != 1:
                raise ConfigError(f"{self.key(name)}[{position}]: {entry!r} is not one part with its keys")
            ((part, keys),) = entry.items()
            own = f"{name}[{position}].{part}"
            if own not in self._children:
                self._children[own] = Section(self.key(own), keys)
            found.append((str(part), self._children[own]))
        return found

    def names(self) -> list[str]:
        """The keys that the file has here."""
        return list(self._values)

    def was_read(self, name: str) -> bool:
        """Whether a key has been read."""
        return name in self._read

    def unread(self) -> Iterator[tuple[str, Any, str]]:
        """Every key that nobody read, with its value and ", did you mean X?" where one that is known is near."""
        for name, value in self._values.items():
            if name not in self._read:
                known = self._asked - set(self._values)
                yield self.key(name), value, did_you_mean(name, known)
        for child in self._children.values():
            yield from child.unread()

    def count(self) -> int:
        """How many keys there are, those of deeper sections that were entered included."""
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
    """The file with overrides (`Global.epoch_num=5`) laid over it, and the keys that it gives twice.

    Raises ConfigError for a file that is missing, no YAML, or no training file of PaddleOCR 2.x.
    """
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise ConfigError(f"config={path}: there is no such file") from error
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
        raise ConfigError(f"{where}: no YAML: {problem}") from error
    except yaml_text.ERRORS as error:
        raise ConfigError(f"{path}: {yaml_text.reason(error)}; correct or quote the value") from error
    try:
        yaml_text.check_yaml(text.encode())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; write the values out, without that alias or nesting") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: no configuration: a YAML file with sections is expected")
    for override in overrides:
        _override(values, override)
    _check_kind(path, values)
    return Section("", values), doubled


def _check_kind(path: Path, values: dict[str, Any]) -> None:
    architecture = values.get("Architecture")
    if not isinstance(architecture, dict):
        own = "; this is an ocrexp file" if "defaults" in values or "trainer" in values else ""
        raise ConfigError(f"{path}: no PaddleOCR training file: it has no section Architecture{own}")
    if "function" in architecture or "reader_yml" in (values.get("Global") or {}):
        raise ConfigError(
            f"{path}: a file of PaddleOCR 1.x (Architecture.function): take the file of the same name of release 2.x"
        )
    missing = [name for name in ("Global", "Optimizer", "Train") if not isinstance(values.get(name), dict)]
    if missing:
        raise ConfigError(f"{path}: no PaddleOCR training file: it has no section {', '.join(missing)}")


def _override(values: dict[str, Any], override: str) -> None:
    """PaddleOCR's `-o Section.key=value`; the value is read as YAML, and may hold '='."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"-o {override}: write Section.key=value, as -o Global.epoch_num=5")
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
        raise ConfigError(f"-o {override}: {'.'.join(sections)} is no section")
    try:
        node[last] = yaml.safe_load(text)
    except yaml_text.ERRORS as error:
        raise ConfigError(f"-o {override}: the value is no YAML") from error


def _loader(doubled: list[str]) -> type[yaml.SafeLoader]:
    """A loader that notes keys given twice: YAML keeps the last of them in silence."""

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
